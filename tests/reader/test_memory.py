"""Reading takes the same memory however many messages there are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.reading import write_capture
from tests.helpers.programs import run_python

MESSAGES = 200_000
MORE = 1024
"""Kilobytes that may come after the first messages, while 30 megabytes are read."""

PROGRAM = """
import itertools, resource, sys
from dnstap_logging import DnstapReader

path, way, messages = sys.argv[1], sys.argv[2], int(sys.argv[3])


def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


with DnstapReader(path, follow=way == "following") as reader:
    found = reader.frames() if way == "frames" else iter(reader)
    read = sum(1 for _ in itertools.islice(found, messages // 10))
    before = most()
    read += sum(1 for _ in itertools.islice(found, messages - read))
print(read, most() - before)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a large capture."""
    path = tmp_path_factory.mktemp("large") / "large.fstrm"
    write_capture(path, MESSAGES)
    assert path.stat().st_size > 30_000_000
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the unit of ru_maxrss")
@pytest.mark.parametrize("way", ["messages", "frames", "following"])
def test_memory_is_constant(path: Path, way: str) -> None:
    """200,000 messages take no more memory than the first 20,000 of them."""
    done = run_python(PROGRAM, path, way, MESSAGES, timeout=120)

    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    read, more = map(int, done.stdout.split())
    assert read == MESSAGES
    assert more < MORE, f"{more:,} kilobytes more"
