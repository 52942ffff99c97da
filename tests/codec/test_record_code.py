"""Records: whatever their values are, the bytes are those of protobuf, and nothing is left over."""

from __future__ import annotations

import ipaddress
import itertools
import random
import socket
import sys
from datetime import datetime, timezone
from types import FrameType
from typing import Any, Dict, List, Mapping, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnstap_logging.codec import encoding, record_code
from dnstap_logging.codec import pieces as wire_pieces
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.message.check import Problem, message_from_snapshot
from dnstap_logging.message.enums import HttpProtocol, MessageType, SocketFamily, SocketProtocol
from dnstap_logging.message.fields import FIELDS, KeySet
from dnstap_logging.message.policy import Policy
from dnstap_logging.message.snapshot import Snapshot, take_snapshot
from tests.helpers.protobuf_oracle import Oracle, outcome_of

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
NOW = 1_700_000_000_123_456_789


def count_checked(monkeypatch: pytest.MonkeyPatch) -> List[Snapshot]:
    """Return a list that gets every record that is left to `message_from_snapshot`."""
    left: List[Snapshot] = []

    def counted(snapshot: Snapshot, problems: List[Problem]) -> Any:
        left.append(snapshot)
        return message_from_snapshot(snapshot, problems)

    monkeypatch.setattr(encoding, "message_from_snapshot", counted)
    return left


# What programs log, and what looks like it.
MIXED: Dict[str, List[Any]] = {
    "message_type": [
        "CLIENT_QUERY", "CLIENT_RESPONSE", MessageType.AUTH_QUERY, 1, True, 1.0, SocketFamily.INET,
        SocketProtocol.UDP, MessageType.AUTH_RESPONSE, "nothing", None, b"CLIENT_QUERY",
        socket.SOCK_STREAM, "cq", "client-response", "CLIENT_QERY",
    ],
    "query_message": [
        WIRE, bytes(100), b"", None, bytearray(WIRE), bytes(65536), "text", bytes(65535)
    ],
    "response_message": [WIRE, bytes(3000), None, bytes(65535)],
    "query_address": [
        ("192.0.2.1", 5353), ("192.0.2.2", 53), ("2001:db8::1", 53, 0, 0), ("192.0.2.1", 65536),
        ("0.0.0.0", 53), ("", 53), ("::ffff:192.0.2.9", 9), "192.0.2.1", "2001:db8::7", b"1234",
        ipaddress.ip_address("192.0.2.3"), ("192.0.2.1", -1), ("192.0.2.1", True), (), ("x",),
        ["192.0.2.1", 5], None, 5, ("fe80::1%eth0", 53, 0, 2), (b"1234", 9),
        "192.0.2.1#53", "192.0.2.1@5", "192.0.2.1:5353", "[2001:db8::1]:53", "[2001:db8::1]",
        "fe80::1%eth0#53", "192.0.2.1#65536", "0.0.0.0#53", "localhost:53", ("192.0.2.1", "53"),
        ("192.0.2.1#9", 53), ("[2001:db8::1]", 53), ["192.0.2.1", "5"], ("", "53"),
    ],
    "response_address": [
        ("192.0.2.53", 53), ("2001:db8::53", 53, 0, 0), ("192.0.2.53", 853), "192.0.2.53", None,
        ("0.0.0.0", 53), "nowhere", ("192.0.2.53", 70000), "192.0.2.53#53", "[2001:db8::53]:53",
        "192.0.2.53:", ("192.0.2.53", "53"), ("[2001:db8::53]", 853),
    ],
    "query_port": [53, 5353, 65535, 65536, -1, None, "53", True, "65536", "5" * 99],
    "response_port": [853, 0, None, "853", b"853"],
    "query_time": [
        NOW, NOW + 1, NOW + 10**9, NOW - 1, 0, 1700000000, 1.7e9, 1700000000.25, 2**63, None, -5,
        datetime(2023, 1, 1, tzinfo=timezone.utc), datetime(2023, 1, 1), True,
    ],
    "response_time": [NOW, NOW + 5, 1700000000.5, None, 10**30],
    "socket_family": [
        "INET", "INET6", SocketFamily.INET, 2, None, 3, socket.AF_INET, socket.AF_INET6, "IPv6", 4,
        6, socket.AF_UNIX,
    ],
    "socket_protocol": [
        "UDP", "tcp", SocketProtocol.DOH, 4, 2, True, MessageType.RESOLVER_QUERY, "?",
        socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_RAW, "https", "TLS", "quic",
    ],
    "http_protocol": [HttpProtocol.HTTP2, "HTTP3", 1, None, "1.1", b"h2", "HTTP/3", b"?"],
    "query_zone": ["example.com", b"\x01a\x00", ".", b"", None, "x" * 300],
    "policy": [Policy("RPZ"), {"type": "RPZ"}, None],
    "extra": [b"abc", "text", "", None, 5],
    "identity": [b"ns9", "ns9", "", None],
    "version": ["9", None],
}  # fmt: skip


@st.composite
def shapes(draw: st.DrawFn) -> List[str]:
    """Draw the fields of a program's records, mostly the usual ones."""
    usual = ["message_type", "query_message", "query_address", "response_address"]
    others = draw(st.lists(st.sampled_from(sorted(MIXED)), max_size=4, unique=True))
    return draw(st.permutations(sorted({*others, *draw(st.sampled_from([usual, usual[:2], []]))})))


@st.composite
def streams(draw: st.DrawFn) -> List[Tuple[Dict[str, object], Any, Any]]:
    """Draw the records of a program: a few shapes, many values."""
    found = []
    for names in draw(st.lists(shapes(), min_size=1, max_size=3)):
        some = {
            name: draw(st.lists(st.sampled_from(MIXED[name]), min_size=1, max_size=3))
            for name in names
        }
        for _ in range(draw(st.integers(2, 8))):
            values = {f"dns_{name}": draw(st.sampled_from(some[name])) for name in names}
            created = draw(st.sampled_from([1.7e9, 1700000000.75, 1700000001.5, 5.0, -1.0, 1e300]))
            found.append((values, created, draw(st.sampled_from([None, None, "upstream=7", ""]))))
    return draw(st.permutations(found))


@settings(max_examples=100)
@given(streams(), st.booleans(), st.sampled_from([98304, 300, 4000]))
def test_the_bytes_are_those_of_protobuf(
    records: List[Tuple[Dict[str, object], Any, Any]], full: bool, max_frame_size: int
) -> None:
    """One record after the other: payload, problems and errors are those of the plain path."""
    oracle = Oracle(b"ns1", b"test", full, max_frame_size)
    encoder = Encoder(b"ns1", b"test", full, max_frame_size)
    for values, created, formatted in records:
        if not 0 <= created < 1e11:
            created = 1.7e9  # in its place either way takes the time of the day
        snapshot = take_snapshot(values, created, formatted)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), values


@settings(max_examples=100)
@given(streams(), st.data())
def test_of_an_adapter_too(
    records: List[Tuple[Dict[str, object], Any, Any]], data: st.DataObject
) -> None:
    """The same, where some fields are fixed for all records, as an adapter's constants are."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    kept: Dict[Tuple[Any, ...], KeySet] = {}
    for values, _, _ in records:
        snapshot = take_snapshot(values, 1.7e9)
        split = data.draw(st.integers(0, len(snapshot[2])))
        fixed, rest = snapshot[2][:split], snapshot[2][split:]
        key = (snapshot[1], split, repr(fixed))
        keys = kept.setdefault(key, KeySet(snapshot[1].fields, snapshot[1].unknown, fixed))
        created = NOW + data.draw(st.sampled_from([0, 1, 10**9, -(10**9)]))
        snapshot = (created, keys, rest, None, 0)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), values


QUERY = {
    "dns_message_type": "CLIENT_QUERY",
    "dns_query_message": WIRE,
    "dns_query_address": ("192.0.2.1", 5353),
    "dns_response_address": ("192.0.2.53", 53),
    "dns_socket_protocol": "UDP",
}


@pytest.mark.parametrize(
    ("changes", "formatted"),
    [
        ({}, None),
        ({"dns_message_type": MessageType.CLIENT_RESPONSE, "dns_response_message": WIRE}, None),
        ({"dns_query_address": "192.0.2.1", "dns_query_port": 53}, None),
        ({"dns_query_time": NOW, "dns_response_time": NOW}, None),
        ({"dns_query_zone": "example.com", "dns_extra": "note"}, None),
        ({"dns_identity": "ns9", "dns_version": "9", "dns_socket_family": "INET"}, None),
        ({"dns_socket_protocol": "DOH", "dns_http_protocol": "HTTP2"}, None),
        ({"dns_socket_protocol": "https", "dns_http_protocol": "1.1"}, None),
        ({"dns_socket_protocol": socket.SOCK_DGRAM, "dns_socket_family": socket.AF_INET}, None),
        ({"dns_response_address": "192.0.2.53#53"}, None),
        ({}, "upstream=192.0.2.7"),
    ],
)
def test_a_usual_record_is_not_left_to_check(
    changes: Mapping[str, Any], formatted: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record with usual values is left to `check`, which takes several times as long."""
    left = count_checked(monkeypatch)
    encoder = Encoder(b"ns1", b"test")
    for number in range(10):
        values = {**QUERY, **changes}
        if "dns_query_port" not in values:
            values["dns_query_address"] = (f"192.0.2.{number + 1}", 1000 + number)
        encoder.encode_record(take_snapshot(values, 1.7e9 + number, formatted), [])

    assert left == []


def test_both_families_are_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is asked over IPv4 and IPv6 leaves neither to `check`."""
    left = count_checked(monkeypatch)
    encoder = Encoder(b"ns1", b"test")
    ends = [(("192.0.2.1", 1), ("192.0.2.53", 53)), (("2001:db8::1", 1), ("2001:db8::53", 53))]
    payloads = []
    for number in range(6):
        client, server = ends[number % 2]
        values = {**QUERY, "dns_query_address": client, "dns_response_address": server}
        snapshot = take_snapshot(values, 1.7e9)
        payloads.append(encoder.encode_record(snapshot, []))
        assert payloads[-1] == Oracle(b"ns1", b"test").outcome(snapshot)[0]

    assert left == []


@pytest.mark.parametrize("given", [False, True])
def test_times_go_on_into_the_next_second_and_back(given: bool) -> None:
    """Seconds and nanoseconds are those of each record, in whatever order the times come."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    second = 1_700_000_000
    fractions = [0.0, 0.25, 0.999, 1.0, 1.5, 0.75, 2.25, 1.0, 0.0, -0.5]
    floats = [second + fraction for fraction in fractions]
    integers = [int(time * 10**9) for time in floats]
    for time in [*floats, *integers, *(each for pair in zip(floats, integers) for each in pair)]:
        values = {**QUERY, "dns_query_time": time} if given else QUERY
        created, *rest = take_snapshot(values, 1.7e9)
        snapshot: Any = (created if given else time, *rest)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), time


@pytest.mark.parametrize("time", [5, 0, -5, -2 * 10**9, 0.5, -0.5, 999_999_999])
def test_what_is_not_a_time_is_left_out(time: float) -> None:
    """What looks like a time of 1970 is a problem, whatever times came before it."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    for each in (NOW, time, time, NOW):
        snapshot = take_snapshot({**QUERY, "dns_query_time": each}, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot)


def test_forms_of_addresses_do_not_mix() -> None:
    """A list has a port as a socket address has; a bare address behind it has none."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    for address in (["192.0.2.1", 5], "192.0.2.1", ("192.0.2.1", 7), ["192.0.2.1", 5]):
        values = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": address}
        snapshot = take_snapshot(values, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot)


def test_a_family_that_is_given_is_held_against_each_address() -> None:
    """With dns_socket_family="INET" an IPv6 client is a problem, whatever came before it."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    for client in [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::1", 3), ("192.0.2.3", 4)]:
        values = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": client}
        snapshot = take_snapshot({**values, "dns_socket_family": "INET"}, 1.7e9)
        problems = outcome_of(encoder, snapshot)

        assert problems == oracle.outcome(snapshot)
        assert len(problems[1]) == (":" in client[0]), problems


def test_what_is_remembered_is_bounded() -> None:
    """New keys, zones, lengths, times and addresses in each record do not fill the memory."""
    encoder = Encoder(b"ns1", b"test")
    for number in range(3 * wire_pieces.MAX_REMEMBERED):
        client = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number)
        values = {
            **QUERY,
            f"other_{number}": 1,
            "dns_query_address": client,
            "dns_response_address": client,
            "dns_query_message": bytes(number),
            "dns_query_time": 1.7e9 + number,
            "dns_query_zone": f"zone{number}.example",
        }
        assert encoder.encode_record(take_snapshot(values, 1.7e9), [])

    memos = [each for each in vars(wire_pieces).values() if isinstance(each, wire_pieces.Memo)]
    assert len(memos) >= 9
    for memo in (*memos, encoder._by_keys):
        assert len(memo) <= wire_pieces.MAX_REMEMBERED


def test_sets_of_keys_share_the_compiled_code() -> None:
    """Keys of other handlers do not have code compiled again and again."""
    encoder = Encoder(b"ns1", b"test")
    encoder.encode_record(take_snapshot(QUERY, 1.7e9), [])
    before = record_code._compile.cache_info().misses
    for number in range(100):
        encoder.encode_record(take_snapshot({f"other_{number}": 1, **QUERY}, 1.7e9), [])

    assert record_code._compile.cache_info().misses == before


def test_enumerators_and_numbers_that_are_equal() -> None:
    """True, 1.0 and another enumeration's first member equal AUTH_QUERY, and are not it."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    ones = [
        *(MessageType.AUTH_QUERY, 1, True, 1.0, SocketFamily.INET, SocketProtocol.UDP),
        *(socket.SOCK_STREAM, socket.SOCK_DGRAM, 2, SocketProtocol.TCP),
    ]
    for message_type, protocol in [*itertools.product(ones, ones)] * 2:
        values = {"dns_message_type": message_type, "dns_socket_protocol": protocol}
        snapshot = take_snapshot(values, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), values


def compare(count: int, seed: int) -> None:
    """Compare payloads, problems and errors of random records, odd ones included."""
    chance = random.Random(seed)
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    names = sorted(MIXED)
    shapes = [chance.sample(names, chance.randint(0, 8)) for _ in range(100)]
    for number in range(count):
        some = chance.choice(shapes)
        odd = chance.random() < 0.5
        values = {
            f"dns_{name}": chance.choice(MIXED[name]) if odd else MIXED[name][0]
            for name in {"message_type", *some}
        }
        if not odd:
            octets = chance.getrandbits(32).to_bytes(4, "big")
            values["dns_query_address"] = (ipaddress.ip_address(octets).exploded, number & 65535)
            values["dns_query_message"] = chance.getrandbits(8 * (number % 500 + 1)).to_bytes(
                number % 500 + 1, "big"
            )
        snapshot = take_snapshot(values, 1.7e9 + number / 1000, chance.choice([None, None, "note"]))

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), (seed, number, values)


def test_random_records() -> None:
    """The bytes of twenty thousand random records are protobuf's."""
    compare(20_000, random.randrange(1 << 32))


@pytest.mark.parametrize("name", ["query_address", "response_address"])
@pytest.mark.parametrize(
    "ends",
    [
        # Without an address: not with that of the record before,
        [("192.0.2.1", 5), None, None],
        # nor if that one was not usable.
        [("192.0.2.1", 5), ("192.0.2.1", 5), ("192.0.2.1", 70000), None],
        # A list has a port, too.
        [["192.0.2.1", 5], "192.0.2.2", ("192.0.2.3", 6), "192.0.2.4"],
        [("192.0.2.1", 5), ("nowhere", 6), ("192.0.2.2", -1), "192.0.2.1", ("192.0.2.1", 5)],
    ],
)
@pytest.mark.parametrize("others", [{}, QUERY])
def test_nothing_is_left_of_the_record_before(
    name: str, ends: List[Any], others: Mapping[str, Any]
) -> None:
    """An address and port that a record does not have are not those of an earlier record."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    for end in ends:
        values = {**others, "dns_message_type": "CLIENT_QUERY", f"dns_{name}": end}
        snapshot = take_snapshot(values, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), end


@pytest.mark.parametrize("name", sorted({*MIXED} - {"message_type", "query_address"}))
def test_a_constant_none_is_not_there(name: str) -> None:
    """An adapter's dns_query_port=None does not have all clients sent with the first one's port."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    fields = tuple(FIELDS[each] for each in ("message_type", name, "query_address"))
    keys = KeySet(fields, fixed=(MessageType.CLIENT_QUERY, None))
    for client in [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::1", 3), ("192.0.2.3", 4)]:
        for formatted in (None, "a note"):
            snapshot: Any = (NOW, keys, (client,), formatted, 0)

            assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), client


@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize("wrong", [("192.0.2.1", 65536), ("192.0.2.1", -1), ("192.0.2.1",)])
def test_a_socket_address_is_checked_whole_also_beside_a_port(side: str, wrong: Any) -> None:
    """An address with a bad port is left out, also if there is a dns_query_port."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    for end in [("192.0.2.1", 1), ("192.0.2.1", 1), wrong, wrong, ("192.0.2.1", 2)]:
        values = {f"dns_{side}_address": end, f"dns_{side}_port": 53}
        snapshot = take_snapshot({"dns_message_type": "CLIENT_QUERY", **values}, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), end


def test_a_float_of_1970_is_rounded_to_the_next_second() -> None:
    """A fraction that is all but a second becomes the next second, not 10**9 nanoseconds."""
    oracle, encoder = Oracle(b"ns1", b"test"), Encoder(b"ns1", b"test")
    second = 1_000_000
    for time in (second * 10**9, second * 10**9 + 5, second + 0.25, second + 1 - 2**-33):
        snapshot = take_snapshot({**QUERY, "dns_query_time": time}, 1.7e9)

        assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), time


def test_an_interrupt_leaves_nothing_behind() -> None:
    """Ctrl-C on any line, where the main thread delivers, does no harm to the next record."""
    finished = False
    oracle = Oracle(b"ns1", b"test")
    ends = [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::3", 3), ("192.0.2.4", 4)]
    some = [
        take_snapshot({**QUERY, "dns_query_address": end, "dns_response_address": end}, 1.7e9 + at)
        for at, end in enumerate(ends)
    ]
    for interrupted in range(1, 60):
        encoder = Encoder(b"ns1", b"test")
        for snapshot in some[:2]:
            encoder.encode_record(snapshot, [])
        lines = itertools.count(1)

        def interrupt(frame: FrameType, event: str, _: object, at: int = interrupted) -> Any:
            if event == "line" and next(lines) == at:  # noqa: B023
                raise KeyboardInterrupt
            return interrupt

        def begin(frame: FrameType, event: str, _: object) -> Any:
            return interrupt if frame.f_code.co_name == "encode" else None

        before = sys.gettrace()
        sys.settrace(begin)
        try:
            encoder.encode_record(some[2], [])
            finished = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        for snapshot in (*some[2:], *some):
            assert outcome_of(encoder, snapshot) == oracle.outcome(snapshot), interrupted

    assert finished, "every line in it was interrupted"
