"""What a handler makes of the file that is there: taken, continued, emptied or left alone."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

import pytest

from dnstap_logging import DnstapHandler
from dnstap_logging.exceptions import TransportError
from tests.helpers.said import Said
from tests.helpers.support import (
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.helpers.support import capture as stream
from tests.situations.captures.whole import log_mark, log_one, marks_of, read_whole
from tests.situations.interop.captures import read_capture, run_tool
from tests.situations.interop.collectors import DnstapTool, FstrmCapture, free_address
from tests.situations.interop.taps import tapped
from tests.situations.interop.zone import KDIG_NAMES, Zone

PAYLOADS = [dnstap_payload(number) for number in range(3)]
OLD = ["0", "1", "2"]
STREAM, UNSTOPPED = stream(PAYLOADS), stream(PAYLOADS, stop=False)
START_SIZE = len(control(START, CONTENT_TYPE))


# -- taken -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "content", "expected"),
    [
        ("a", None, ["new"]),
        ("a", b"", ["new"]),
        ("a", STREAM, [*OLD, "new"]),
        ("a", UNSTOPPED, [*OLD, "new"]),
        ("w", None, ["new"]),
        ("w", b"", ["new"]),
        ("w", STREAM, ["new"]),
        ("w", UNSTOPPED, ["new"]),
        ("w", b"no capture at all", ["new"]),
        ("x", None, ["new"]),
    ],
)
@pytest.mark.parametrize("delay", [False, True])
def test_a_file_is_taken(
    capture: Path, mode: str, content: bytes, expected: List[str], delay: bool
) -> None:
    """Mode "a" continues a file, "w" replaces it, "x" creates it; the result is one stream."""
    if content is not None:
        capture.write_bytes(content)

    log_one(capture, mode=mode, delay=delay)

    assert marks_of(capture) == expected


@pytest.mark.parametrize("content", [b"", STREAM])
def test_x_refuses_any_file(capture: Path, content: bytes) -> None:
    """Mode "x" refuses a file that exists, and leaves it as it is."""
    capture.write_bytes(content)

    with pytest.raises(TransportError, match=r"exists already .*mode='x'") as caught:
        DnstapHandler(capture, mode="x")

    assert str(caught.value).startswith(f"address={str(capture)!r}: "), caught.value
    assert capture.read_bytes() == content


def test_a_capture_is_continued_again_and_again(capture: Path) -> None:
    """Many handlers, one after the other, write one stream."""
    for number in range(20):
        log_one(capture, str(number))

    assert marks_of(capture) == [str(number) for number in range(20)]


def test_w_is_about_the_first_file_only(capture: Path, tmp_path: Path) -> None:
    """What somebody else puts in the place of a file that was moved is continued, not emptied."""
    capture.write_bytes(b"emptied")
    with tapped(capture, mode="w") as tap:
        tap.log_marked("first")
        assert tap.handler.flush()
        capture.rename(tmp_path / "moved")
        capture.write_bytes(STREAM)
        tap.handler.reopen()
        tap.log_marked("second")

    assert marks_of(tmp_path / "moved") == ["first"]
    assert marks_of(capture) == [*OLD, "second"]


# -- refused -----------------------------------------------------------------------------------


def damaged() -> bytes:
    """Return a capture with a length in its middle that no frame has."""
    second = START_SIZE + 4 + len(PAYLOADS[0])
    return STREAM[:second] + b"\xff" + STREAM[second + 1 :]


class Foreign(NamedTuple):
    """A file that is not to be continued, where it is wrong, and what the error says of it."""

    content: bytes
    byte: int
    says: str


STOP_AT = len(UNSTOPPED)
FOREIGN: Dict[str, Foreign] = {
    "text": Foreign(b"2024-01-01 query: www.example.org\n" * 9, 0, "not Frame Streams"),
    "gzip": Foreign(gzip.compress(STREAM), 0, "not Frame Streams"),
    "short text": Foreign(b"x", 0, "not Frame Streams"),
    "content type": Foreign(
        control(START, b"protobuf:other") + data(b"x") + control(STOP), 0, "protobuf:other"
    ),
    "no content type": Foreign(
        control(START) + data(PAYLOADS[0]) + control(STOP), 0, "no content type"
    ),
    "READY": Foreign(control(READY, CONTENT_TYPE) + STREAM, 0, "READY"),
    "a data frame first": Foreign(data(PAYLOADS[0]) + STREAM, 0, "not Frame Streams"),
    "joined": Foreign(STREAM + STREAM, STOP_AT, "STOP"),
    "text behind STOP": Foreign(STREAM + b"# end", STOP_AT, "STOP"),
    "a second START": Foreign(UNSTOPPED + STREAM, STOP_AT, "START"),
    "FINISH": Foreign(UNSTOPPED + control(FINISH), STOP_AT, "FINISH"),
    "damage": Foreign(damaged(), START_SIZE + 4 + len(PAYLOADS[0]), "data frame of"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_and_left_alone(capture: Path, kind: str) -> None:
    """What is no capture to continue fails at construction, by name and byte, and is untouched."""
    foreign = FOREIGN[kind]
    capture.write_bytes(foreign.content)
    os.utime(capture, ns=(1, 1))

    with pytest.raises(TransportError) as caught:
        DnstapHandler(capture)

    text = str(caught.value)
    assert text.startswith(f"address={str(capture)!r}: cannot be continued: "), text
    for part in (f"byte {foreign.byte}: ", foreign.says, "mode='w'"):
        assert part in text, f"expected {part!r} in {text}"
    assert capture.read_bytes() == foreign.content
    assert capture.stat().st_mtime_ns == 1
    log_one(capture, mode="w")  # and the refused handler has let go of it
    assert marks_of(capture) == ["new"]


def test_a_foreign_file_is_left_alone_when_it_is_opened_late(capture: Path, said: Said) -> None:
    """With delay=True it is the writer thread that refuses: records wait, and it says why."""
    capture.write_bytes(b"a text")
    with tapped(capture, delay=True, close_timeout=0.0) as tap:
        tap.log_marked("new")
        said.wait_for("cannot be continued: byte 0: this is not Frame Streams")
        assert tap.stats().queued == 1, tap.stats()
        tap.handler.close()

        assert tap.stats().dropped["disconnected"] == 1, tap.stats()
    assert capture.read_bytes() == b"a text"


def test_records_wait_until_a_foreign_file_is_moved_away(capture: Path, tmp_path: Path) -> None:
    """As soon as the path is free, what waited is written."""
    capture.write_bytes(b"a text")
    with tapped(capture, delay=True, reconnect_interval=0.001) as tap:
        tap.log_marked("new")
        wait_until(lambda: tap.stats().last_error, "an error")
        capture.rename(tmp_path / "text")
        wait_until(lambda: tap.stats().written, "the record to be written")

    assert marks_of(capture) == ["new"]
    assert (tmp_path / "text").read_bytes() == b"a text"


# -- captures of others ------------------------------------------------------------------------


def by_fstrm_capture(tmp_path: Path) -> Path:
    with FstrmCapture(free_address("unix", tmp_path), tmp_path / "theirs.fstrm") as collector:
        with tapped(collector.address) as tap:
            tap.log_numbers(range(50))
        collector.stop()
    return collector.output


def by_the_dnstap_tool(tmp_path: Path) -> Path:
    with DnstapTool(free_address("unix", tmp_path), tmp_path / "theirs.fstrm") as collector:
        with tapped(collector.address) as tap:
            tap.log_numbers(range(50))
        return collector.take(50)


def by_kdig(tmp_path: Path) -> Path:
    path = tmp_path / "kdig.fstrm"
    with contextlib.closing(Zone()) as zone:
        run_tool("kdig", "-E", str(path), "@127.0.0.1", "-p", str(zone.port), *KDIG_NAMES)
    return path


@pytest.mark.parametrize("by", [by_fstrm_capture, by_the_dnstap_tool, by_kdig])
def test_captures_of_others_are_continued(by: Callable[[Path], Path], tmp_path: Path) -> None:
    """A capture that another program wrote is continued, and all readers read the whole."""
    path = by(tmp_path)
    theirs = read_capture(path)
    assert theirs.complete
    assert theirs.payloads

    log_one(path)

    payloads = read_whole(path)
    assert payloads[:-1] == theirs.payloads
    assert len(payloads) == len(theirs.payloads) + 1


@pytest.mark.parametrize("reopen", [True, False])
def test_a_capture_that_was_moved_before_the_first_record(
    capture: Path, tmp_path: Path, reopen: bool
) -> None:
    """A file that was moved away without its STOP still gets it."""
    moved = tmp_path / "moved"
    capture.write_bytes(UNSTOPPED)
    handler = DnstapHandler(capture)
    capture.rename(moved)
    if reopen:
        handler.reopen()
    log_mark(handler, "new")
    handler.close()

    assert moved.read_bytes() == STREAM
    assert marks_of(capture) == ["new"]


# -- left as it is -----------------------------------------------------------------------------


def test_a_handler_without_a_record_leaves_a_whole_capture_as_it_is(capture: Path) -> None:
    """STOP is cut off with the next record and not before: no record, no change."""
    capture.write_bytes(STREAM)
    os.utime(capture, ns=(1, 1))

    handler = DnstapHandler(capture)
    assert capture.read_bytes() == STREAM
    handler.flush()
    handler.reopen()
    handler.close()

    assert capture.read_bytes() == STREAM
    assert capture.stat().st_mtime_ns == 1


def test_a_capture_is_whole_until_the_first_record(capture: Path) -> None:
    """Also a handler that runs, but has written nothing yet, leaves the file to the readers."""
    capture.write_bytes(STREAM)
    with tapped(capture) as tap:
        tap.handler.handle(logging.makeLogRecord({"dns_message_type": "no such type"}))
        wait_until(lambda: tap.stats().dropped["invalid"], "the record to be refused")
        assert tap.stats().connected, tap.stats()
        assert capture.read_bytes() == STREAM

    assert capture.read_bytes() == STREAM


def test_with_delay_nothing_happens_before_the_first_record(capture: Path) -> None:
    """delay=True opens, checks and locks the file with the first record; without one, never."""
    DnstapHandler(capture, delay=True).close()
    assert not capture.exists()

    first, second = DnstapHandler(capture, delay=True), DnstapHandler(capture, delay=True)
    assert not capture.exists()
    log_mark(first, "first")
    first.close()
    log_mark(second, "second")
    second.close()
    assert marks_of(capture) == ["first", "second"]


def test_reopen_of_a_file_that_was_not_moved_changes_nothing(capture: Path) -> None:
    """The stream goes on, without a STOP in between, and the session is the same."""
    with tapped(capture) as tap:
        for number in range(5):
            tap.log_marked(str(number))
            assert tap.handler.flush()
            before = capture.read_bytes()
            tap.handler.reopen()
            wait_until(
                lambda: not tap.handler._writer_thread._delivery.reopen_requested, "reopen()"
            )
            assert capture.read_bytes() == before
        assert (tap.stats().connects, tap.stats().disconnects) == (1, 0), tap.stats()

    assert marks_of(capture) == [str(number) for number in range(5)]
