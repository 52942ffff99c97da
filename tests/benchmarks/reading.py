"""What reading a capture costs, compared with the packages on PyPI: dnstap-pb and fstrm.

All read the same file. The yardstick is what their documentation shows: fstrm's codec is fed what
it says that it needs, and each payload is parsed into one message object of dnstap-pb, which is
used again. It then makes of each message what a `DnstapReader` hands out: a tuple of the same
fields, with None for what is not there (asked with HasField, since protobuf returns 0 or b"" for
it), and times in nanoseconds. The enumerators stay the numbers that they are. Beside it, for
orientation: the same without looking at any field.

Where our time goes, of 2.2 us for a message: 0.35 to cut the frames and hand them on, 0.65 for the
one regular expression that splits a payload, 0.25 to compare its lengths, 0.5 for times and
port, 0.1 for what was seen before, 0.2 for the tuple of 17. Parsing alone costs the yardstick 1.2
of its 3.5, so a reader of three times its speed would have to leave the fields for later.

The rounds alternate, so that a machine that slows down slows all, and the medians are compared.
"""

from __future__ import annotations

import argparse
import functools
import platform
import random
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

import google.protobuf

from dnstap_logging import DnstapMessage, DnstapReader, MessageType, SocketFamily, SocketProtocol
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.framestream.frames import DNSTAP_CONTENT_TYPE
from dnstap_logging.framestream.session import WriterSession
from dnstap_logging.framestream.state import Direction
from tests.benchmarks.figures import AT_LEAST, Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.traffic import wire

GOAL = 1.5
"""Messages a second, and those of the other package."""

MESSAGES_A_SECOND = 20_000  # of the server that wrote the capture
START = 1_700_000_000_000_000_000


def traffic(count: int) -> Iterator[bytes]:
    """Yield payloads of queries and responses in turn, as a resolver's handler makes them."""
    source = random.Random(0)
    encoder = Encoder(b"ns1.example.org", b"benchmark 1.0")
    for number in range(count):
        now = START + number * 1_000_000_000 // MESSAGES_A_SECOND
        common: Dict[str, Any] = {
            "socket_family": SocketFamily.INET,
            "socket_protocol": SocketProtocol.UDP,
            "query_address": bytes(source.choices(range(1, 255), k=4)),
            "query_port": source.randint(1024, 65535),
            "response_address": bytes([192, 0, 2, 53]),
            "response_port": 53,
            "query_time": now,
        }
        if number % 2:
            common["response_message"] = wire(source, source.randint(1, 4))
            common["response_time"] = now + source.randint(10_000, 10_000_000)
            message = DnstapMessage(MessageType.CLIENT_RESPONSE, **common)
        else:
            common["query_message"] = wire(source, 0)
            message = DnstapMessage(MessageType.CLIENT_QUERY, **common)
        yield encoder.encode(message, [])


def write_capture(path: Path, count: int) -> None:
    """Write a capture of that many messages: a part of them again and again, to be quick."""
    session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
    with open(path, "wb") as file:
        file.write(session.start())
        frames = [session.frame(payload) for payload in traffic(min(count, 20_000))]
        for _ in range(count // len(frames)):
            file.write(b"".join(frames))
        file.write(b"".join(frames[: count % len(frames)]))
        file.write(session.stop())


class Fields(NamedTuple):
    """What the yardstick makes of a message: the fields of a `DnstapMessage`."""

    message_type: int
    socket_family: Optional[int]
    socket_protocol: Optional[int]
    query_address: Optional[bytes]
    response_address: Optional[bytes]
    query_port: Optional[int]
    response_port: Optional[int]
    query_time: Optional[int]
    response_time: Optional[int]
    query_message: Optional[bytes]
    response_message: Optional[bytes]
    query_zone: Optional[bytes]
    policy: Any
    extra: Optional[bytes]
    identity: Optional[bytes]
    version: Optional[bytes]


def fields_of(dnstap: Any) -> Fields:
    """Read the fields of a message of dnstap-pb (it does not know http_protocol)."""
    body = dnstap.message
    has = body.HasField
    query_time = response_time = None
    if has("query_time_sec"):
        query_time = body.query_time_sec * 1_000_000_000 + body.query_time_nsec
    if has("response_time_sec"):
        response_time = body.response_time_sec * 1_000_000_000 + body.response_time_nsec
    return Fields(
        body.type,
        body.socket_family if has("socket_family") else None,
        body.socket_protocol if has("socket_protocol") else None,
        body.query_address if has("query_address") else None,
        body.response_address if has("response_address") else None,
        body.query_port if has("query_port") else None,
        body.response_port if has("response_port") else None,
        query_time,
        response_time,
        body.query_message if has("query_message") else None,
        body.response_message if has("response_message") else None,
        body.query_zone if has("query_zone") else None,
        body.policy if has("policy") else None,
        dnstap.extra if dnstap.HasField("extra") else None,
        dnstap.identity if dnstap.HasField("identity") else None,
        dnstap.version if dnstap.HasField("version") else None,
    )


def read_parsed(path: Path) -> Iterator[Any]:
    """Yield one message object of dnstap-pb, filled again for each frame."""
    import dnstap_pb
    import fstrm

    codec = fstrm.FstrmCodec()
    dnstap = dnstap_pb.Dnstap()
    with open(path, "rb") as file:
        while True:
            data = file.read(codec.pending_nb_bytes())
            if not data:
                return
            codec.append(data)
            if codec.process():
                kind, _, payload = codec.decode()
                if kind == fstrm.FSTRM_DATA_FRAME:
                    dnstap.ParseFromString(payload)
                    yield dnstap


def read_with_parts(path: Path) -> Iterator[Fields]:
    """Yield the fields of each message, by dnstap-pb and fstrm."""
    return map(fields_of, read_parsed(path))


def read_frames(path: Path) -> Iterator[Tuple[int, bytes]]:
    """Yield our frames, which are not decoded."""
    return DnstapReader(path).frames()


WAYS: Dict[str, Callable[[Path], Iterator[Any]]] = {
    "DnstapReader": DnstapReader,
    "dnstap-pb + fstrm, the same fields": read_with_parts,
    "dnstap-pb + fstrm, no field looked at": read_parsed,
    "DnstapReader.frames(), not decoded": read_frames,
}


def cost_of(way: Callable[[Path], Iterator[Any]], path: Path, messages: int) -> Quantities:
    """Read a whole capture in one way; return microseconds of CPU for a message."""
    started = time.process_time()
    for _ in way(path):
        pass
    return {"cpu": (time.process_time() - started) / messages * 1e6}


def measure_ways(messages: int, rounds: int) -> Dict[str, Quantities]:
    """Return microseconds of CPU for a message, the median of that many rounds, for each way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.fstrm"
        write_capture(path, messages)
        return alternate(
            {name: functools.partial(cost_of, way, path, messages) for name, way in WAYS.items()},
            rounds,
        )


def measure(scale: Scale) -> Section:
    """Measure all ways."""
    details = measure_ways(scale.reading, scale.rounds)
    ours, same, bare, _ = [found["cpu"] for found in details.values()]
    figures = [
        Figure("reading a capture: rate / dnstap-pb + fstrm", same / ours, "x", GOAL, AT_LEAST),
        Figure("reading a capture: rate / those, no field looked at", bare / ours),
    ]
    return Section("reading a capture: microseconds for a message", figures, details)


def main() -> None:
    """Print what one message costs, in each way."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.reading", description=main.__doc__
    )
    parser.add_argument("--messages", type=int, default=50_000, help="in the capture")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds")
    arguments = parser.parse_args()
    print(
        f"Python {platform.python_version()}, protobuf {google.protobuf.__version__}, "
        f"{arguments.rounds} rounds of {arguments.messages:,} messages"
    )
    measured = measure_ways(arguments.messages, arguments.rounds)
    found = {name: quantities["cpu"] for name, quantities in measured.items()}
    print(f"{'':40}{'CPU us/message':>16}{'messages/s':>14}{'DnstapReader x':>16}")
    for name, cost in found.items():
        ratio = cost / found["DnstapReader"]
        print(f"{name:40}{cost:16.2f}{1e6 / cost:14,.0f}{ratio:16.2f}")
    print(f"the goal, compared with reading the same fields, is {GOAL:g}")


if __name__ == "__main__":
    main()
