"""What it takes to find the end of an existing capture, by its tail and from its beginning.

A capture of random queries and responses is made in a temporary folder. Both ways are measured
twice, the first time after the kernel was asked to forget the file, if it can be asked. They are
compared with reading the whole file, which the way from the beginning cannot be faster than.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Tuple

from dnstap_logging.capture.end import find_end
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.framestream.frames import (
    DNSTAP_CONTENT_TYPE,
    ControlFrame,
    FrameKind,
    encode_control,
    encode_data,
)
from dnstap_logging.message.enums import MessageType, SocketFamily, SocketProtocol
from dnstap_logging.message.message import DnstapMessage
from tests.benchmarks.traffic import wire

GIGABYTE = 1_000_000_000
MESSAGES_IN_A_BLOCK = 20_000
READ_SIZE = 1024 * 1024


def block(source: random.Random) -> bytes:
    """Return data frames of some 200 bytes each, of queries and responses in turn."""
    encoder = Encoder(b"ns1.example.org", b"benchmark 1.0")
    frames = []
    for number in range(MESSAGES_IN_A_BLOCK):
        common = {
            "socket_family": SocketFamily.INET,
            "socket_protocol": SocketProtocol.UDP,
            "query_address": source.randbytes(4),
            "query_port": source.randint(1024, 65535),
            "response_address": bytes([192, 0, 2, 53]),
            "response_port": 53,
            "query_time": 1_700_000_000_000_000_000 + source.getrandbits(50),
        }
        if number % 2:
            message = DnstapMessage(
                MessageType.CLIENT_RESPONSE,
                response_message=wire(source, source.randint(1, 12)),
                response_time=common["query_time"] + source.getrandbits(24),
                **common,
            )
        else:
            message = DnstapMessage(
                MessageType.CLIENT_QUERY, query_message=wire(source, 0), **common
            )
        frames.append(encode_data(encoder.encode(message, [])))
    return b"".join(frames)


def write_capture(path: Path, size: int) -> None:
    """Write a capture of about that many bytes, up to a STOP."""
    # Not a multiple of the block comes last, so that the end lies anywhere in it.
    frames = block(random.Random(0))
    with open(path, "wb") as file:
        file.write(encode_control(ControlFrame(FrameKind.START, (DNSTAP_CONTENT_TYPE,))))
        for _ in range(max(1, size // len(frames))):
            file.write(frames)
        file.write(encode_control(ControlFrame(FrameKind.STOP)))
        file.flush()
        os.fsync(file.fileno())


class Counting:
    """Reads a file, and counts the bytes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size
        self.count = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most that many bytes from there on."""
        data = os.pread(self._descriptor, length, offset)
        self.count += len(data)
        return data

    def forget(self) -> None:
        """Have the next reads come from the disk, where the kernel does as it is asked."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def by_tail(file: Counting) -> None:
    """Find the end as the handler does in a large file."""
    find_end(file.read_at, file.size, forward_up_to=0)


def from_beginning(file: Counting) -> None:
    """Find the end as the handler does in a small file, or where the tail is not certain."""
    find_end(file.read_at, file.size, forward_up_to=file.size)


def only_reading(file: Counting) -> None:
    """Read the file and look at nothing."""
    offset = 0
    while offset < file.size:
        offset += len(file.read_at(offset, READ_SIZE))


WAYS: Dict[str, Callable[[Counting], None]] = {
    "tail": by_tail,
    "beginning": from_beginning,
    "only reading": only_reading,
}


def measure(way: Callable[[Counting], None], path: Path, *, cold: bool) -> Tuple[float, int]:
    """Return seconds and bytes read."""
    file = Counting(path)
    if cold:
        file.forget()
    started = time.perf_counter()
    way(file)
    seconds = time.perf_counter() - started
    file.close()
    return seconds, file.count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.append", description=main.__doc__
    )
    parser.add_argument("gigabytes", nargs="?", type=float, default=0.25, help="of the capture")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.fstrm"
        write_capture(path, int(arguments.gigabytes * GIGABYTE))
        print(f"a capture of {path.stat().st_size:,} bytes")
        print(f"{'':14}{'cold s':>10}{'warm s':>10}{'x tail':>10}{'bytes read':>18}")
        tail = 0.0
        for name, way in WAYS.items():
            cold, _ = measure(way, path, cold=True)
            warm, count = measure(way, path, cold=False)
            tail = tail or warm
            print(f"{name:14}{cold:10.3f}{warm:10.3f}{warm / tail:10.1f}{count:18,}")


if __name__ == "__main__":
    main()
