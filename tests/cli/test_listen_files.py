"""The captures that `dnstap-logging listen` writes: filters, rollovers, SIGHUP, and its ends."""

from __future__ import annotations

import array
import fcntl
import signal
import subprocess
import termios
import threading
import time
from pathlib import Path
from typing import IO, Any

import pytest

from dnstap_logging import DnstapHandler
from tests.cli.programs import DEADLINE, Listener, command, run, started
from tests.cli.samples import numbered, relay
from tests.helpers.programs import with_environment
from tests.helpers.support import capture, dnstap_payload, wait_until
from tests.situations.interop.captures import assert_same, read_capture

NEARLY_FULL = 50_000
"""Bytes in a pipe, which holds 65,536 on Linux; the sender goes on."""

QUERIES = [dnstap_payload(number) for number in range(3)]
RESPONSES = [dnstap_payload(number, "CLIENT_RESPONSE") for number in range(3)]


@pytest.fixture
def sock(tmp_path: Path) -> str:
    """Name a unix socket that is not there yet."""
    return f"unix://{tmp_path}/d.sock"


def test_an_existing_capture_is_continued(tmp_path: Path, sock: str) -> None:
    """Two runs on one file make one stream, from START to STOP; a run without a message, too."""
    path = tmp_path / "all.fstrm"
    for part in (QUERIES, [], RESPONSES):
        with Listener(tmp_path, sock, "--write", path) as listener:
            relay(sock, part)
            assert listener.end() == 0, listener.said

    assert path.read_bytes() == capture(QUERIES + RESPONSES)


def test_mode_w_overwrites_only_when_it_listens(tmp_path: Path, sock: str) -> None:
    """--mode w replaces the file; but an address that is in use leaves the file as it is."""
    path = tmp_path / "all.fstrm"
    path.write_bytes(capture(QUERIES))
    with Listener(tmp_path, sock, "--write", "other.fstrm"):
        done = run(tmp_path, "listen", sock, "--write", path, "--mode", "w")
    assert (done.returncode, path.read_bytes()) == (2, capture(QUERIES))

    with Listener(tmp_path, sock, "--write", path, "--mode", "w") as listener:
        relay(sock, RESPONSES)
        assert listener.end() == 0, listener.said
    assert path.read_bytes() == capture(RESPONSES)


def test_filters_choose_and_leave_the_bytes_alone(tmp_path: Path, sock: str) -> None:
    """With filters, what they choose is written as it came; what is no message, they never do."""
    odd = RESPONSES[0] + b"\xa2\x06\x03new"
    with Listener(tmp_path, sock, "--write", "r.fstrm", "--type", "CR") as listener:
        relay(sock, [*QUERIES, b"\xff", odd, *RESPONSES])
        assert listener.end() == 0, listener.said

    assert read_capture(tmp_path / "r.fstrm").payloads == [odd, *RESPONSES]


def test_what_is_no_message_is_written_but_not_printed(tmp_path: Path, sock: str) -> None:
    """A capture takes every payload; printing leaves out what is no message: status 1, a line."""
    with Listener(tmp_path, sock, "--write", "all.fstrm") as listener:
        relay(sock, [b"\xff", *QUERIES])
        assert listener.end() == 0, listener.said
    assert read_capture(tmp_path / "all.fstrm").payloads == [b"\xff", *QUERIES]

    with Listener(tmp_path, sock, "--format", "{extra}") as listener:
        relay(sock, [b"\xff", *QUERIES])
        assert listener.end() == 1
    assert listener.printed == "0\n1\n2\n"
    assert "1 payload left out: no dnstap" in listener.said


def test_a_stream_on_standard_output(tmp_path: Path, sock: str) -> None:
    """`--write -` is a whole capture on standard output."""
    with started(tmp_path, "listen", sock, "--write", "-", text=False) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"dnstap-logging listen: listening on {sock}\n".encode()
        relay(sock, QUERIES)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=DEADLINE)

    assert process.returncode == 0
    assert printed == capture(QUERIES)  # type: ignore[comparison-overlap]


def test_rollover_by_size(tmp_path: Path, sock: str) -> None:
    """--max-bytes and --backup-count: whole captures below the size, and every message in one."""
    payloads = numbered(0, 2000)
    rollover = "--max-bytes", 10_000, "--backup-count", 50
    with Listener(tmp_path, sock, "--write", "c.fstrm", *rollover) as listener:
        relay(sock, payloads)
        assert listener.end() == 0, listener.said

    parts = sorted(tmp_path.glob("c.fstrm.*"), key=lambda path: -int(path.suffix[1:]))
    parts.append(tmp_path / "c.fstrm")
    assert len(parts) > 5
    assert max(part.stat().st_size for part in parts) < 10_000
    captures = [read_capture(part) for part in parts]
    assert all(each.complete for each in captures)
    assert_same([p for each in captures for p in each.payloads], payloads, "payloads")


def test_rollover_by_time(tmp_path: Path, sock: str) -> None:
    """--when S: what comes in a later second is in another file; the first has its time as name."""
    with Listener(
        tmp_path, sock, "--write", "c.fstrm", "--when", "S", "--interval", 1, "--utc"
    ) as listener:
        relay(sock, QUERIES[:1])
        begun = int(time.time())
        wait_until(lambda: time.time() >= begun + 2, "two seconds")
        relay(sock, RESPONSES[:1])
        assert listener.end() == 0, listener.said

    (backup,) = tmp_path.glob("c.fstrm.*")
    assert backup.read_bytes() == capture(QUERIES[:1])
    assert (tmp_path / "c.fstrm").read_bytes() == capture(RESPONSES[:1])
    moment = time.strptime(backup.suffix[1:], "%Y-%m-%d_%H-%M-%S")
    assert abs(time.mktime(moment) - time.mktime(time.gmtime(begun))) < 60


def test_sighup_after_a_move_begins_a_new_file_and_loses_nothing(tmp_path: Path, sock: str) -> None:
    """As logrotate does it, three times under traffic: all files are whole, and all is in them."""
    path = tmp_path / "c.fstrm"
    payloads = numbered(0, 20_000)
    sender = threading.Thread(target=relay, args=(sock, payloads))
    with Listener(tmp_path, sock, "--write", path) as listener:
        sender.start()
        for number in range(3):
            wait_until(lambda: path.exists() and read_capture(path).payloads, "messages in it")
            moved = path.rename(tmp_path / f"moved.{number}")
            listener.send_signal(signal.SIGHUP)
            wait_until(lambda moved=moved: read_capture(moved).complete, "STOP", DEADLINE)
        sender.join(DEADLINE)
        assert listener.end() == 0, listener.said

    parts = [read_capture(tmp_path / f"moved.{number}") for number in range(3)]
    parts.append(read_capture(path))
    assert all(part.complete for part in parts)
    assert_same([p for part in parts for p in part.payloads], payloads, "payloads")


def test_count_is_exact_and_the_rest_is_not_confirmed(tmp_path: Path, sock: str) -> None:
    """--count takes that many and ends; a sender that has more learns that they were not read."""
    with Listener(tmp_path, sock, "--write", "c.fstrm", "--count", 5) as listener:
        handler = DnstapHandler(sock, max_reconnect_attempts=0)
        for payload in numbered(0, 50):
            handler.emit_payload(payload)
        assert listener.wait() == 0, listener.said
        handler.close()

    assert read_capture(tmp_path / "c.fstrm").payloads == numbered(0, 5)
    stats = handler.stats()
    assert stats.confirmed == 0
    assert stats.last_error is not None


def test_count_confirms_a_sender_that_has_no_more(tmp_path: Path, sock: str) -> None:
    """Exactly that many messages: they are taken and confirmed."""
    with Listener(tmp_path, sock, "--format", "{extra}", "--count", 5) as listener:
        handler = relay(sock, numbered(0, 5))
        assert listener.wait() == 0, listener.said

    assert listener.printed.split() == list("01234")
    assert handler.stats().confirmed == 5


def test_it_ends_after_a_time(tmp_path: Path, sock: str) -> None:
    """--for: it ends by itself, with status 0, and leaves no socket behind."""
    done = run(tmp_path, "listen", sock, "--for", 0.2)

    assert (done.returncode, done.stdout) == (0, "")
    assert "received 0 messages on 0 connections, kept 0" in done.stderr
    assert not (tmp_path / "d.sock").exists()


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path, sock: str) -> None:
    """`listen | head -1`: the end by SIGPIPE, and nothing is reported but where it listened."""
    with subprocess.Popen(
        command("listen", sock, "--format", "{extra}"),
        cwd=tmp_path,
        env=with_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        listens = process.stderr.readline()
        handler = DnstapHandler(sock, close_timeout=0)
        handler.emit_payload(QUERIES[0])
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        handler.emit_payload(QUERIES[1])
        said = process.stderr.read()
        status = process.wait(DEADLINE)
        handler.close()

    assert (status, listens + said) == (
        -signal.SIGPIPE,
        f"dnstap-logging listen: listening on {sock}\n",
    )
    assert handler.stats().confirmed == 0
    assert not (tmp_path / "d.sock").exists()


def test_ctrl_c_ends_it_in_order(tmp_path: Path, sock: str) -> None:
    """SIGINT while a sender is connected and idle: what it sent is printed, its connection ends."""
    handler = DnstapHandler(sock, max_reconnect_attempts=0)
    with Listener(tmp_path, sock, "--format", "{extra}") as listener:
        handler.emit_payload(QUERIES[0])
        wait_until(lambda: listener.printed == "0\n", "the line", DEADLINE)
        assert listener.end(signal.SIGINT) == 0, listener.said
    handler.close()

    assert "received 1 message on 1 connection, kept 1" in listener.said


@pytest.mark.parametrize(("times", "expected"), [(1, 1), (2, 130)], ids=["once", "twice"])
def test_a_reader_that_reads_nothing_does_not_keep_it_from_ending(
    tmp_path: Path, sock: str, times: int, expected: int
) -> None:
    """Standard output is a full pipe: SIGTERM ends it, and says what is lost; twice, at once."""
    with started(tmp_path, "listen", sock, "--format", "{extra}") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.readline()
        handler = DnstapHandler(sock, overflow="block", close_timeout=0, resend_bytes=0)
        sender = threading.Thread(target=_send_until_closed, args=(handler,))
        sender.start()
        wait_until(lambda: _unread(process.stdout) > NEARLY_FULL, "the pipe to fill", DEADLINE)
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: not (tmp_path / "d.sock").exists(), "its end to begin", DEADLINE)
        said = process.stderr.read()
        status = process.wait(DEADLINE)
        handler.close()
        sender.join(DEADLINE)

    assert status == expected, said
    assert ("its reader takes nothing" in said) == (times == 1)
    assert handler.stats().confirmed == 0


def _send_until_closed(handler: DnstapHandler) -> None:
    number = 0
    while handler.emit_payload(dnstap_payload(number)):
        number += 1


def _unread(pipe: IO[Any]) -> int:
    """Return how many bytes wait in a pipe."""
    number = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, number)
    return number[0]


def test_a_full_disk_under_standard_output(tmp_path: Path, sock: str) -> None:
    """/dev/full: one line that says why, and status 1; nothing is confirmed."""
    with open("/dev/full", "wb") as full:
        with started(tmp_path, "listen", sock, stdout=full) as process:
            assert process.stderr is not None
            process.stderr.readline()
            handler = DnstapHandler(sock, close_timeout=0)
            handler.emit_payload(QUERIES[0])
            said = process.stderr.read()
            status = process.wait(DEADLINE)
            handler.close()

    assert (status, said) == (
        1,
        "dnstap-logging listen: standard output: No space left on device\n",
    )
    assert handler.stats().confirmed == 0
