"""How hypothesis makes hostile bytes: garbage, frames in any order, and valid streams damaged."""

from __future__ import annotations

import struct
from typing import List

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dnstap_logging.codec.proto import Dnstap
from tests.framestream.samples import ESCAPE, MALFORMED, SAMPLES, START, STOP, data
from tests.situations.fuzz.promises import LIMIT
from tests.situations.fuzz.seeds import ANSWERS, DNS_MESSAGES, PAYLOADS, STREAMS

patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""A busy machine says nothing about the code."""

U32 = st.one_of(st.integers(0, 600), st.integers(2**32 - 8, 2**32 - 1), st.integers(0, 2**32 - 1))
LENGTHS = U32.map(lambda size: struct.pack(">I", size))


changes = st.one_of(
    st.just(lambda part: b""),
    st.just(lambda part: part * 2),
    st.binary(min_size=1, max_size=12).map(lambda more: lambda part: more + part),
    st.integers(1, 255).map(lambda mask: lambda part: bytes(octet ^ mask for octet in part[:1])),
    LENGTHS.map(lambda number: lambda part: number),
    st.sampled_from(STREAMS).map(lambda stream: lambda part: stream),
)
"""What becomes of some bytes in the middle: lost, doubled, put behind others, flipped, another
number where one may be, a whole stream in their place."""


@st.composite
def damaged(draw: st.DrawFn, originals: List[bytes]) -> bytes:
    """Take one of the originals, and damage it in up to four places."""
    stream = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        end = draw(st.integers(at, min(len(stream), at + 40)))
        changed = draw(changes)(stream[at:end])
        # The rest as it was, or of another stream, or cut off.
        rests = [stream, stream, stream, draw(st.sampled_from(originals)), b""]
        stream = stream[:at] + changed + draw(st.sampled_from(rests))[end:]
    return stream


frames = st.one_of(
    st.sampled_from([sample for sample, _ in SAMPLES.values()]),
    st.sampled_from(PAYLOADS).map(data),
    st.binary(min_size=1, max_size=300).map(data),
    st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 1]).map(lambda size: data(b"x" * size)),
    st.builds(lambda size, body: ESCAPE + size + body, LENGTHS, st.binary(max_size=40)),
    st.sampled_from([sample for sample, _ in MALFORMED.values()]),
)

streams = st.one_of(
    damaged(STREAMS),
    damaged(ANSWERS),
    st.lists(frames, max_size=10).map(b"".join),
    st.lists(frames, max_size=10).map(lambda found: START + b"".join(found) + STOP),
    st.builds(lambda stream, more: stream + more, st.sampled_from(STREAMS), st.binary(max_size=9)),
    st.binary(max_size=300),
)
"""Streams that may begin well, and end in any way."""

sizes = st.lists(st.integers(1, 64), min_size=1, max_size=20)
"""The sizes of portions, to be gone through again and again."""


def portions(stream: bytes, pattern: List[int]) -> List[bytes]:
    """Cut a stream into portions of these sizes, in turns."""
    found, at, turn = [], 0, 0
    while at < len(stream):
        found.append(stream[at : at + pattern[turn % len(pattern)]])
        at += len(found[-1])
        turn += 1
    return found


dns_messages = st.one_of(
    damaged(DNS_MESSAGES),
    st.binary(max_size=200),
    # Headers that announce much, before compression pointers to anywhere.
    st.builds(
        lambda counts, body: b"\0\1\1\0" + counts + body,
        st.lists(st.sampled_from([b"\0\0", b"\0\1", b"\0\7", b"\xff\xff"]), min_size=4, max_size=4)
        .map(b"".join),
        st.lists(
            st.one_of(
                st.integers(0, 80).map(lambda at: struct.pack("!H", 0xC000 | at)),
                st.sampled_from([b"\1a", b"\0", b"\x3f" + b"x" * 63, b"\0\1\0\1", b"\0\x29"]),
                st.binary(max_size=12),
            ),
            max_size=30,
        ).map(b"".join),
    ),
)  # fmt: skip
"""DNS messages, damaged or made up."""


NARROW, WIDE = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
"""Octets of an IPv4 and of an IPv6 address."""

SECONDS = st.one_of(U32, st.integers(2**37, 2**39), st.integers(2**62, 2**64 - 1))
"""Around our days, around the year 10000, and what no clock of a system can hold."""


@st.composite
def filled_payloads(draw: st.DrawFn) -> bytes:
    """Encode a Dnstap payload whose fields have any value that protobuf lets them have."""
    dnstap = Dnstap()
    dnstap.type = dnstap.MESSAGE
    message = dnstap.message
    message.type = draw(st.sampled_from(message.Type.values()))
    optional = [
        (message, "socket_family", st.sampled_from([1, 2])),
        (message, "socket_protocol", st.sampled_from([1, 2, 3, 4, 5, 6, 7])),
        (message, "http_protocol", st.sampled_from([1, 2, 3])),
        (message, "query_address", st.one_of(st.binary(max_size=20), NARROW, WIDE)),
        (message, "response_address", st.one_of(st.binary(max_size=20), NARROW, WIDE)),
        (message, "query_port", U32),
        (message, "response_port", U32),
        (message, "query_time_sec", SECONDS),
        (message, "query_time_nsec", U32),
        (message, "response_time_sec", SECONDS),
        (message, "response_time_nsec", U32),
        (message, "query_message", dns_messages),
        (message, "response_message", dns_messages),
        (message, "query_zone", st.binary(max_size=20)),
        (message.policy, "type", st.text(max_size=10)),
        (message.policy, "rule", st.binary(max_size=10)),
        (dnstap, "identity", st.binary(max_size=10)),
        (dnstap, "version", st.binary(max_size=10)),
        (dnstap, "extra", st.binary(max_size=10)),
    ]
    for owner, name, values in optional:
        if draw(st.booleans()):
            setattr(owner, name, draw(values))
    return dnstap.SerializeToString()


payloads = st.one_of(filled_payloads(), damaged(PAYLOADS), st.binary(max_size=100))
"""Dnstap payloads: right in form with any values, damaged, or made up."""
