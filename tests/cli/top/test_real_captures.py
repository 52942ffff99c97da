"""What real programs captured: kdig, knotd, dnsdist, and our own handler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from dnstap_logging.cli.top.pairs import PairCounts
from tests.cli.running import call


def answer(command: str, capture: Path) -> Dict[str, Any]:
    """Return what a command says of a capture in JSON."""
    done = call(command, "--json", capture)
    assert (done.status, done.err) == (0, "")
    found: Dict[str, Any] = json.loads(done.out)
    return found


@pytest.mark.parametrize("name", ["kdig", "knotd", "dnsdist", "own"])
def test_types_are_those_of_check(real_captures: Dict[str, Path], name: str) -> None:
    """Of every capture, all 14 types among them."""
    capture = real_captures[name]

    assert answer("top", capture)["types"] == answer("check", capture)["types"]


@pytest.mark.parametrize("name", ["kdig", "knotd", "dnsdist"])
def test_every_query_finds_its_response(real_captures: Dict[str, Path], name: str) -> None:
    """In captures of servers that answered everything: each query is answered, no response is left
    over, over UDP and TCP, and each pair has a latency.
    """
    found = answer("top", real_captures[name])
    queries = sum(count for kind, count in found["types"].items() if kind.endswith("_QUERY"))

    assert queries
    assert PairCounts(**found["pairs"]) == PairCounts(queries, 0, 0, 0, 0, 0)
    assert found["latency_ns"]["count"] == queries
    assert 0 < found["latency_ns"]["max"] < 10**10


@pytest.mark.parametrize(("name", "served"), [("kdig", False), ("knotd", True), ("dnsdist", True)])
def test_clients_are_those_of_servers(
    real_captures: Dict[str, Path], name: str, served: bool
) -> None:
    """A tool's own address is no client; a server's are the addresses that asked it."""
    found = answer("top", real_captures[name])
    expected = [{"address": "127.0.0.1", "messages": found["messages"], "missed": 0}]

    assert found["clients"] == (expected if served else [])
