"""Captures on disk: others read what we write, and we read what others write."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from dnstap_logging import (
    DnstapMessage,
    DnstapReader,
    DnstapReceiver,
    MessageType,
    SocketFamily,
    SocketProtocol,
)
from tests.helpers.support import CONTENT_TYPE, wait_until
from tests.situations.interop import corpus
from tests.situations.interop.captures import (
    assert_same,
    decode,
    dnstap_quiet,
    read_capture,
    run_tool,
)
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import assert_all_written, check_capture, message_fields, tapped
from tests.situations.interop.zone import KDIG_NAMES, Zone

COUNT = 700
"""Messages: fifty of each type."""


def write_capture(address: str, **options: str) -> None:
    """Log the corpus into a file."""
    with tapped(address, identity=corpus.IDENTITY, version=corpus.VERSION, **options) as tap:
        tap.log_corpus(COUNT)
        stats = tap.close()
    assert_all_written(stats, COUNT)


@pytest.mark.parametrize("mode", ["a", "w", "x"])
def test_every_reader_reads_our_file(mode: str, tmp_path: Path) -> None:
    """Every reader finds our capture complete, in a new file or over an old one."""
    path = tmp_path / "capture.fstrm"
    if mode == "w":
        path.write_bytes(b"what was there before " * 100_000)

    write_capture(f"file://{path}", mode=mode)

    check_capture(path, COUNT)
    assert len(dnstap_quiet(path)) == COUNT
    with DnstapReader(path) as reader:
        read = [message_fields(message) for message in reader]
        assert reader.complete
    assert_same(read, corpus.all_fields(COUNT), "messages read")


def test_a_file_without_records_is_a_capture(tmp_path: Path) -> None:
    """A handler that never logs leaves START and STOP, which the tools read."""
    path = tmp_path / "capture.fstrm"

    with tapped(path):
        pass

    check_capture(path, 0)


def test_a_replay_changes_nothing(tmp_path: Path) -> None:
    """Our file, replayed by fstrm_replay into fstrm_capture, comes out byte for byte."""
    ours, theirs = tmp_path / "ours.fstrm", tmp_path / "theirs.fstrm"
    write_capture(f"file://{ours}")

    with FstrmCapture(free_address("unix", tmp_path), theirs) as collector:
        run_tool("fstrm_replay", *_replay_arguments(ours, collector.address))
        collector.stop()

    assert theirs.read_bytes() == ours.read_bytes()


def _replay_arguments(path: Path, address: str) -> List[str]:
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    where = ["-u", rest] if scheme == "unix" else ["-a", host, "-p", port]
    return ["-t", CONTENT_TYPE.decode(), "-r", str(path), *where]


def _forward_arguments(path: Path, address: str) -> List[str]:
    scheme, _, rest = address.partition("://")
    return ["-r", str(path), "-U" if scheme == "unix" else "-T", rest]


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize(
    ("program", "arguments"),
    [("fstrm_replay", _replay_arguments), ("dnstap", _forward_arguments)],
    ids=["fstrm_replay", "dnstap"],
)
def test_our_receiver_takes_what_others_send(
    program: str, arguments: Callable[[Path, str], List[str]], scheme: str, tmp_path: Path
) -> None:
    """fstrm_replay and the dnstap tool send our capture to our receiver, which gets all of it."""
    path = tmp_path / "capture.fstrm"
    write_capture(f"file://{path}")
    frames: List[bytes] = []
    where = f"unix://{tmp_path}/receiver.sock" if scheme == "unix" else "tcp://127.0.0.1:0"

    with DnstapReceiver(where, on_frame=frames.append) as receiver:
        run_tool(program, *arguments(path, str(receiver.address)))
        wait_until(lambda: receiver.stats().finished, "the end of the stream")
        stats = receiver.stats()

    assert_same(frames, read_capture(path).payloads, "frames received")
    assert (stats.messages, stats.protocol_errors, stats.interrupted) == (COUNT, 0, 0), stats


# -- kdig --------------------------------------------------------------------------------------


@pytest.fixture
def zone() -> Iterator[Zone]:
    """A DNS server for one test."""
    server = Zone()
    yield server
    server.close()


def test_we_read_what_kdig_writes(zone: Zone, tmp_path: Path) -> None:
    """kdig's capture has, to our reader, the very messages that crossed the wire."""
    path = tmp_path / "kdig.fstrm"

    run_tool("kdig", "-E", str(path), "@127.0.0.1", "-p", str(zone.port), *KDIG_NAMES)

    with DnstapReader(path) as reader:
        messages = list(reader)
        assert reader.complete
    types = [message.message_type for message in messages]
    assert types == [MessageType.TOOL_QUERY, MessageType.TOOL_RESPONSE] * len(KDIG_NAMES)
    assert [message.query_message for message in messages[::2]] == zone.queries
    assert [message.response_message for message in messages[1::2]] == zone.responses
    for message, port in zip(messages, (port for port in zone.clients for _ in range(2))):
        _check_kdig_endpoints(message, port, zone.port)


def _check_kdig_endpoints(message: DnstapMessage, client: int, server: int) -> None:
    assert message.socket_family is SocketFamily.INET
    assert message.socket_protocol is SocketProtocol.UDP
    assert (message.query_port, message.response_port) == (client, server), message
    assert str(message.response_ip) == "127.0.0.1"
    moment = message.query_time if message.message_type.is_query else message.response_time
    assert moment is not None
    assert abs(moment - time.time_ns()) < 600 * 10**9, f"not the time of this test: {moment}"


def test_our_reader_and_the_tool_agree_on_kdigs_capture(zone: Zone, tmp_path: Path) -> None:
    """What we read in kdig's capture is what our own decoder of the raw frames finds."""
    path = tmp_path / "kdig.fstrm"
    run_tool("kdig", "-E", str(path), "@127.0.0.1", "-p", str(zone.port), *KDIG_NAMES)

    with DnstapReader(path) as reader:
        ours = [message_fields(message) for message in reader]

    raw = [decode(payload) for payload in read_capture(path).payloads]
    assert_same(ours, raw, "messages")
