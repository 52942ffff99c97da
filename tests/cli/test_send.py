"""`dnstap-logging send`, to real collectors and to ones that behave badly."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Type

import pytest

from dnstap_logging import DnstapReceiver
from tests.cli.programs import DEADLINE, run, started
from tests.helpers.support import capture, data, dnstap_payload, wait_until
from tests.situations.interop.captures import assert_same, read_capture
from tests.situations.interop.collectors import Collector, DnstapTool, FstrmCapture, free_address

SUMMARY = re.compile(
    r"(?P<address>\S+): (?P<sent>\d+) of (?P<read>\d+) messages sent, (?P<confirmed>\d+) confirmed"
)
ODD = b"\xffno protobuf"


class Counts(NamedTuple):
    """The last line of a `send`."""

    sent: int
    read: int
    confirmed: int


def counts(printed: str) -> Counts:
    """Read the last line."""
    match = SUMMARY.match(printed)
    assert match, printed
    return Counts(*(int(match[name]) for name in Counts._fields))


def make_capture(folder: Path, number: int, stop: bool = True) -> Path:
    """Write a capture of that many messages."""
    path = folder / "sent.fstrm"
    path.write_bytes(capture(map(dnstap_payload, range(number)), stop=stop))
    return path


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize("kind", [FstrmCapture, DnstapTool])
def test_real_collectors_get_every_frame_as_it_is(
    tmp_path: Path, real_captures: Dict[str, Path], kind: Type[Collector], scheme: str
) -> None:
    """What kdig and our handler captured arrives at fstrm_capture and dnstap frame by frame."""
    address = free_address(scheme, tmp_path)
    expected: List[bytes] = []
    with kind(address, tmp_path / "received.fstrm") as collector:
        for name in ("kdig", "own"):
            payloads = read_capture(real_captures[name]).payloads
            done = run(tmp_path, "send", real_captures[name], address)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert counts(done.stdout) == (len(payloads),) * 3
            expected += payloads
        if isinstance(collector, DnstapTool):
            received = collector.take(len(expected))
        else:
            collector.stop()
            received = collector.output

    assert_same(read_capture(received).payloads, expected, "frames")


def test_standard_input_and_payloads_that_are_no_messages(tmp_path: Path) -> None:
    """`send -` reads standard input; what it does not understand is sent as it is."""
    payloads = [dnstap_payload(1), ODD, dnstap_payload(2) + b"\xa2\x06\x03new"]
    path = tmp_path / "odd.fstrm"
    path.write_bytes(capture(payloads))
    received: List[bytes] = []
    with DnstapReceiver(f"unix://{tmp_path}/d.sock", on_frame=received.append) as receiver:
        with path.open("rb") as file:
            done = run(tmp_path, "send", "-", receiver.address, stdin=file)

    assert (done.returncode, done.stderr) == (0, "")
    assert received == payloads


@pytest.mark.parametrize(
    ("tail", "what"),
    [
        (b"\0\0\0\x20torn", "inside a frame"),
        (b"\xff\xff\xff\xff", "at most 1048576"),
        (data(b"x" * 99)[:50], "inside a frame"),
    ],
    ids=["torn", "too large", "cut"],
)
def test_a_damaged_capture_is_sent_as_far_as_it_is_whole(
    tmp_path: Path, tail: bytes, what: str
) -> None:
    """Every whole frame is sent and confirmed; then one line says where the damage is: status 1."""
    path = make_capture(tmp_path, 5, stop=False)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + tail)
    received: List[bytes] = []
    with DnstapReceiver(f"unix://{tmp_path}/d.sock", on_frame=received.append) as receiver:
        done = run(tmp_path, "send", path, receiver.address)

    assert done.returncode == 1
    assert counts(done.stdout) == (5, 5, 5)
    assert received == [dnstap_payload(number) for number in range(5)]
    assert done.stderr.count("\n") == 1
    assert f"byte {whole}" in done.stderr
    assert what in done.stderr


def test_nobody_there_is_a_clear_failure(tmp_path: Path) -> None:
    """Without a collector it gives up after its attempts: one line that says why, status 1."""
    path = make_capture(tmp_path, 7)
    done = run(tmp_path, "send", path, f"unix://{tmp_path}/absent.sock", "--attempts", 1)

    assert done.returncode == 1
    assert counts(done.stdout) == (0, 7, 0)
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"dnstap-logging send: unix://{tmp_path}/absent.sock: no such socket" in done.stderr
    assert "7 messages read and not sent" in done.stderr


def test_what_is_not_confirmed_is_no_success(tmp_path: Path) -> None:
    """A collector that reads everything and ends without FINISH: status 1, and it says so."""

    def refuse() -> None:
        raise OSError("not kept")

    path = make_capture(tmp_path, 7)
    with DnstapReceiver(
        f"unix://{tmp_path}/d.sock", on_frame=len, before_finish=refuse
    ) as receiver:
        done = run(tmp_path, "send", path, receiver.address)

    assert done.returncode == 1
    assert counts(done.stdout) == (7, 7, 0)
    assert "confirmed by FINISH" in done.stderr


def test_it_reconnects_when_the_collector_comes_back(tmp_path: Path) -> None:
    """A collector that goes and comes back gets everything, but not all of it is confirmed."""
    path, address = make_capture(tmp_path, 1500), f"unix://{tmp_path}/d.sock"
    received: List[bytes] = []
    with started(tmp_path, "send", path, address, "--rate", 1000, "--attempts", 50) as process:
        with DnstapReceiver(address, on_frame=received.append):
            wait_until(lambda: len(received) >= 100, "the first hundred", DEADLINE)
        first = len(received)
        with DnstapReceiver(address, on_frame=received.append):
            printed, said = process.communicate(timeout=DEADLINE)

    assert process.returncode == 1, said
    assert list(dict.fromkeys(received)) == [dnstap_payload(number) for number in range(1500)]
    sent, read, confirmed = counts(printed)
    assert (sent, read) == (1500, 1500)
    assert confirmed == len(received) - first < 1500
    assert "confirmed by FINISH" in said


def test_large_messages_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    """A message over 96 KiB would end the session with common collectors: it is left out, aloud."""
    payloads = [dnstap_payload(1), bytes(100_000), dnstap_payload(2)]
    path = tmp_path / "large.fstrm"
    path.write_bytes(capture(payloads))
    received: List[bytes] = []
    with DnstapReceiver(f"unix://{tmp_path}/d.sock", on_frame=received.append) as receiver:
        done = run(tmp_path, "send", path, receiver.address)
        assert (done.returncode, received) == (1, [payloads[0], payloads[2]])
        assert "1 message of more than 98304 bytes" in done.stderr
        received.clear()
        done = run(tmp_path, "send", path, receiver.address, "--max-frame-size", 100_000)
        assert (done.returncode, received) == (0, payloads), done.stderr


def test_rate_and_own_time_take_their_time(tmp_path: Path) -> None:
    """Three a second, and the messages' own times: the last one does not arrive with the first.

    That takes 1.3 and 1.5 seconds; a third is enough, for a busy machine may hold up the first.
    """
    from tests.cli.samples import payload_at

    path = tmp_path / "timed.fstrm"
    path.write_bytes(capture(payload_at(seconds) for seconds in (0, 1, 2, 3, 2.9)))
    times: List[float] = []
    with DnstapReceiver(
        f"unix://{tmp_path}/d.sock", on_frame=lambda _: times.append(time.monotonic())
    ) as receiver:
        for pace in (("--rate", 3), ("--timed", "--speed", 2)):
            done = run(tmp_path, "send", path, receiver.address, *pace)
            assert (done.returncode, len(times)) == (0, 5), done.stderr
            assert times[-1] - times[0] > 0.44, pace
            times.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_signals_end_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Ended early, it ends the stream with STOP, waits for FINISH, and says how far it came."""
    path = make_capture(tmp_path, 10_000)
    received: List[bytes] = []
    with DnstapReceiver(f"unix://{tmp_path}/d.sock", on_frame=received.append) as receiver:
        with started(tmp_path, "send", path, receiver.address, "--rate", 500) as process:
            wait_until(lambda: len(received) >= 50, "fifty messages", DEADLINE)
            process.send_signal(number)
            printed, said = process.communicate(timeout=DEADLINE)
        wait_until(lambda: receiver.stats().finished == 1, "STOP")

    assert (process.returncode, said) == (128 + number, "")
    assert counts(printed) == (len(received),) * 3
