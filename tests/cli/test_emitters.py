"""The captures that the other tests of the command line look at are worth looking at."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from tests.cli.emitters import QUESTIONS
from tests.cli.samples import OWN_MESSAGES
from tests.situations.interop.captures import read_capture


def test_every_program_has_written_all(real_captures: Dict[str, Path]) -> None:
    """Each capture is whole, and has a query and a response for each question that was asked."""
    counts = {}
    for name, path in real_captures.items():
        capture = read_capture(path)
        assert capture.complete, f"no STOP in the capture of {name}"
        counts[name] = len(capture.payloads)

    assert counts == {
        "kdig": 2,
        "knotd": 2 * (3 * len(QUESTIONS) + 1),  # dnsdist's upstream, asked by kdig, and itself
        "dnsdist": 2 * 2 * len(QUESTIONS),
        "own": OWN_MESSAGES,
    }
