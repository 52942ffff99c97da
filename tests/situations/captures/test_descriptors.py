"""What is not the handler's own: descriptors that the program closed, files of earlier children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

import pytest

import dnstap_logging.delivery.delivery
from dnstap_logging import DnstapHandler
from tests.helpers.support import assert_balanced, dnstap_payload
from tests.helpers.support import capture as stream
from tests.situations.captures.programs import run_program
from tests.situations.captures.whole import log_mark, marks_of
from tests.transport.peers import in_child


def descriptor_of(path: Path) -> int:
    """Return the descriptor of this process that has the file open."""
    for name in os.listdir("/proc/self/fd"):
        link = f"/proc/self/fd/{name}"
        if os.path.exists(link) and os.path.samefile(link, path):
            return int(name)
    raise AssertionError(f"{path} is not open")


def test_a_descriptor_that_the_program_closed(capture: Path) -> None:
    """The capture is opened again and continued, as after the closerange of a daemon."""
    handler = DnstapHandler(capture)
    log_mark(handler, 1)
    assert handler.flush()
    os.close(descriptor_of(capture))

    log_mark(handler, 2)
    assert handler.flush(20), handler.stats()
    handler.close()

    assert marks_of(capture) == ["1", "2"]
    assert_balanced(handler.stats())


def test_a_descriptor_that_has_become_another_files(capture: Path) -> None:
    """Not a byte of the other file is changed, and its descriptor stays open."""
    handler = DnstapHandler(capture)
    for number in range(100):
        log_mark(handler, number)
    assert handler.flush()
    victim, number = reuse(capture)

    log_mark(handler, 100)
    assert handler.flush(20), handler.stats()
    handler.close()

    check_untouched(victim, number)
    assert marks_of(capture) == [str(each) for each in range(101)]


LEFT_BY_ANOTHER = """
attach(sys.argv[1], mode=sys.argv[2])
stem = sys.argv[1][:-len(".fstrm")]

def work():
    own = f"{stem}.{os.getpid()}.fstrm"
    earlier = DnstapHandler(own)
    earlier.handle(logging.makeLogRecord({"dns_message_type": "CLIENT_QUERY", "dns_extra": "old"}))
    earlier.close()
    log("new")
    assert handler.flush(30), handler.stats()
    handler.close()
    with dnstap_logging.DnstapReader(own) as reader:
        assert [message.extra for message in reader] == [b"old", b"new"], own
        assert reader.complete

reap(fork(work))
"""


def test_a_childs_file_from_an_earlier_life(tmp_path: Path) -> None:
    """Process ids come again: a child continues what it finds under its name, in every mode."""
    for mode in "awx":
        run_program(LEFT_BY_ANOTHER, tmp_path / f"{mode}.fstrm", mode)


def reuse(capture: Path) -> Tuple[Path, int]:
    """Put another file in the place of the capture's descriptor, as daemons do by chance."""
    victim = capture.with_name("victim")
    victim.write_bytes(b"precious " * 100)
    number = descriptor_of(capture)
    reused = os.open(victim, os.O_RDWR)
    os.dup2(reused, number)
    os.close(reused)
    return victim, number


def check_untouched(victim: Path, number: int) -> None:
    """Check that the other file is as it was, open, and locked by nobody."""
    assert victim.read_bytes() == b"precious " * 100
    assert os.path.samestat(os.fstat(number), os.stat(victim))
    os.close(number)


@pytest.mark.parametrize("content", [b"", stream([dnstap_payload(0)])], ids=["new", "continued"])
@pytest.mark.parametrize("records", [0, 1])
def test_another_files_descriptor_when_the_handler_closes(
    capture: Path, content: bytes, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """START and STOP are not written to it, nothing is cut off, and the descriptor stays open."""
    monkeypatch.setattr(
        dnstap_logging.delivery.delivery, "IDLE_INTERVAL", 3600.0
    )  # noticed by nothing else
    capture.write_bytes(content)
    handler = DnstapHandler(capture)
    for number in range(records):
        log_mark(handler, number)
    assert handler.flush()
    victim, number = reuse(capture)

    handler.close()

    check_untouched(victim, number)


def test_another_files_descriptor_in_a_forked_child(capture: Path) -> None:
    """The child keeps it, too: it is its parent's other file, not the capture."""
    handler = DnstapHandler(capture)
    victim, number = reuse(capture)

    seen = in_child(lambda: str(os.path.samestat(os.fstat(number), os.stat(victim))))

    assert seen == "True"
    handler.close()
    check_untouched(victim, number)
