"""docs/captures.md is true: its Python runs, one block after the other, as one program."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from dnstap_logging import DnstapReader
from tests.helpers.pages import python_examples, run
from tests.rotating.load import DOCUMENTATION

LOG = """
for number in range(3):
    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})
"""
ROLL_OVER = LOG + "\nby_size.doRollover()\nby_time.doRollover()\n" + LOG
END = "\nlogging.shutdown()\n"


def examples() -> str:
    """Return the Python of the page as one program."""
    blocks = [code for _, code in python_examples(DOCUMENTATION)]
    assert len(blocks) == 3, "a new block: look whether these tests use it"
    return "\n".join(blocks)


def count(path: Path) -> int:
    """Return how many messages a whole capture has, also a compressed one."""
    with path.open("rb") as raw:
        packed = path.suffix == ".gz"
        with DnstapReader(gzip.GzipFile(fileobj=raw) if packed else raw) as reader:
            number = len(list(reader))
            assert reader.complete, path
    return number


def test_the_examples_run_and_log(tmp_path: Path) -> None:
    """In an empty folder the page's handlers are made, and each takes records."""
    assert run(tmp_path, examples() + LOG + END) == ""

    found = {path.name: count(path) for path in (tmp_path / "captures").iterdir()}
    assert found == {"dns.fstrm": 3, "size.fstrm": 3, "time.fstrm": 3}


def test_the_examples_roll_over(tmp_path: Path) -> None:
    """The captures are rolled over under the names of the twins, the first compressed."""
    assert run(tmp_path, examples() + ROLL_OVER + END) == ""

    found = {path.name: count(path) for path in (tmp_path / "captures").iterdir()}
    (dated,) = (name for name in found if re.fullmatch(r"time\.fstrm\.\d{4}-\d\d-\d\d", name))
    assert found == {
        "dns.fstrm": 6,
        "size.fstrm": 3,
        "size.fstrm.1.gz": 3,
        "time.fstrm": 3,
        dated: 3,
    }
