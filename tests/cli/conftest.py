"""Captures made by real programs, once for all tests of the command line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Dict

import pytest

from dnstap_logging import DnstapHandler
from tests.cli.emitters import Dnsdist, Knot, kdig
from tests.cli.samples import OWN_MESSAGES
from tests.helpers.support import wait_until
from tests.situations.interop import corpus
from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture


@pytest.fixture(scope="session")
def real_captures(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """Return captures made by kdig, knotd, dnsdist (through fstrm_capture), and our own handler."""
    folder = tmp_path_factory.mktemp("captures")
    captures = {name: folder / f"{name}.fstrm" for name in ("kdig", "knotd", "dnsdist", "own")}
    with Knot(_made(folder / "knot"), str(captures["knotd"])) as knot:
        _collect_dnsdist(folder, captures["dnsdist"], knot.port)
        knot.ask(tcp=True)
        arguments = ("+dnssec", "+nsid", "+cookie", "+subnet=192.0.2.0/24")
        kdig(captures["kdig"], knot.port, *arguments, "www.example.org", "AAAA")
        knot.stop()
    _log_corpus(captures["own"])
    return captures


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _collect_dnsdist(folder: Path, capture: Path, upstream: int) -> None:
    sink = folder / "dnsdist.sock"
    with FstrmCapture(f"unix://{sink}", capture) as collector:
        with Dnsdist(_made(folder / "dnsdist"), str(sink), upstream) as dnsdist:
            count = dnsdist.ask() + dnsdist.ask(tcp=True)

            def all_there() -> bool:
                collector.flush()
                return capture.exists() and len(read_capture(capture).payloads) >= 2 * count

            wait_until(all_there, f"{2 * count} messages of dnsdist")
            dnsdist.stop()
        collector.stop()


def _log_corpus(capture: Path) -> None:
    logger = logging.Logger("corpus", logging.INFO)
    handler = DnstapHandler(capture, identity=corpus.IDENTITY, version=corpus.VERSION)
    logger.addHandler(handler)
    for each in corpus.samples(OWN_MESSAGES):
        logger.info("corpus", extra=corpus.extras(each))
    handler.close()
