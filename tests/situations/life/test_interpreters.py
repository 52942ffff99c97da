"""Subinterpreters: where a handler cannot have its thread, one line says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.situations.life.scripts import run

IN_MAIN = """
import json, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inside = interpreters.create()
failed = interpreters.run_string(inside, sys.argv[1])
assert failed is None, failed
interpreters.destroy(inside)
"""

INSIDE = """
import sys, json, warnings
sys.path[:0] = {path!r}
warnings.simplefilter("ignore")            # protobuf's own, of an extension that does not load here
import dnstap_logging
try:
    dnstap_logging.DnstapHandler({capture!r})
    said = None
except dnstap_logging.DnstapLoggingError as error:
    said = str(error)
with open({output!r}, "w") as output:
    json.dump(said, output)
"""


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="older ones tell only where a thread is started"
)
def test_a_subinterpreter_without_daemon_threads_is_refused_in_one_line(tmp_path: Path) -> None:
    """The import works there; the constructor refuses, says why, and leaves no file behind."""
    capture, output = tmp_path / "capture.fstrm", tmp_path / "said.json"
    path = [each for each in sys.path if each]
    inside = INSIDE.format(path=path, capture=str(capture), output=str(output))
    run(IN_MAIN, inside)

    said: Any = json.loads(output.read_text())
    assert isinstance(said, str), "the handler was made"
    assert "daemon threads are disabled in this (sub)interpreter" in said
    assert "main interpreter" in said
    assert "\n" not in said
    assert not capture.exists()
