"""Scripts that log queries numbered by their ports, run in a fresh interpreter."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import List

from dnstap_logging import DnstapReader
from tests.helpers.programs import run_python
from tests.situations.life.scripts import HELPERS, SIGNALS

PRELUDE = (
    HELPERS
    + SIGNALS
    + """
import os
def query(port):
    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_query_port": port})
"""
)


def run(script: str, *arguments: object, status: int = 0) -> str:
    """Run a script in a fresh interpreter, warnings as errors; return its standard error."""
    code = PRELUDE + textwrap.dedent(script)
    done = run_python(code, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr


def ports(path: Path) -> List[int]:
    """Return the query ports in a whole capture, which number the records of these tests."""
    with DnstapReader(path) as reader:
        numbers = [message.query_port or 0 for message in reader]
        assert reader.complete, f"{path} has no STOP"
    return numbers
