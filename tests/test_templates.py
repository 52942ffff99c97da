"""Templates: whatever the records are, the bytes are those of the plain way."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnstap_logging import templates
from dnstap_logging.encoding import Encoder
from dnstap_logging.enums import HttpProtocol, MessageType, SocketFamily, SocketProtocol
from dnstap_logging.exceptions import EncodeError
from dnstap_logging.extras import FIELDS, KeySet, Snapshot, take_snapshot
from dnstap_logging.filling import MAX_HOSTS
from dnstap_logging.message import Problem, check
from dnstap_logging.policy import Policy
from dnstap_logging.templates import RecordEncoder

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
NOW = 1_700_000_000_123_456_789

Outcome = Tuple[Optional[bytes], List[Problem], str]


def plainly(encoder: Encoder, snapshot: Snapshot) -> Outcome:
    """Go the plain way."""
    problems: List[Problem] = []
    try:
        return encoder.encode(check(snapshot, problems), problems), problems, ""
    except EncodeError as error:
        return None, problems, f"{type(error).__name__}: {error}"


def by_template(encoder: RecordEncoder, snapshot: Snapshot) -> Outcome:
    """Go the way of the writer thread."""
    problems: List[Problem] = []
    try:
        return encoder.encode(snapshot, problems), problems, ""
    except EncodeError as error:
        return None, problems, f"{type(error).__name__}: {error}"


def count_plain(monkeypatch: pytest.MonkeyPatch) -> List[Snapshot]:
    """Return a list that gets every record that goes the plain way."""
    plain: List[Snapshot] = []

    def counted(snapshot: Snapshot, problems: List[Problem]) -> Any:
        plain.append(snapshot)
        return check(snapshot, problems)

    monkeypatch.setattr(templates, "check", counted)
    return plain


# What programs log, and what looks like it.
MIXED: Dict[str, List[Any]] = {
    "message_type": [
        "CLIENT_QUERY", "CLIENT_RESPONSE", MessageType.AUTH_QUERY, 1, True, 1.0, SocketFamily.INET,
        SocketProtocol.UDP, MessageType.AUTH_RESPONSE, "nothing", None, b"CLIENT_QUERY",
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
    ],
    "response_address": [
        ("192.0.2.53", 53), ("2001:db8::53", 53, 0, 0), ("192.0.2.53", 853), "192.0.2.53", None,
        ("0.0.0.0", 53), "nowhere", ("192.0.2.53", 70000),
    ],
    "query_port": [53, 5353, 65535, 65536, -1, None, "53", True],
    "response_port": [853, 0, None],
    "query_time": [
        NOW, NOW + 1, NOW + 10**9, NOW - 1, 0, 1700000000, 1.7e9, 1700000000.25, 2**63, None, -5,
        datetime(2023, 1, 1, tzinfo=timezone.utc), datetime(2023, 1, 1), True,
    ],
    "response_time": [NOW, NOW + 5, 1700000000.5, None, 10**30],
    "socket_family": ["INET", "INET6", SocketFamily.INET, 2, None, 3],
    "socket_protocol": [
        "UDP", "tcp", SocketProtocol.DOH, 4, 2, True, MessageType.RESOLVER_QUERY, "?"
    ],
    "http_protocol": [HttpProtocol.HTTP2, "HTTP3", 1, None],
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


@settings(max_examples=400)
@given(streams(), st.booleans(), st.sampled_from([98304, 300, 4000]))
def test_the_bytes_are_those_of_the_plain_way(
    records: List[Tuple[Dict[str, object], Any, Any]], full: bool, max_frame_size: int
) -> None:
    """One record after the other, both ways give the same payload, problems and errors."""
    plain = Encoder(b"ns1", b"test", full, max_frame_size)
    encoder = RecordEncoder(b"ns1", b"test", full, max_frame_size)
    for values, created, formatted in records:
        if not 0 <= created < 1e11:
            created = 1.7e9  # in its place either way takes the time of the day
        snapshot = take_snapshot(values, created, formatted)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), values


@settings(max_examples=200)
@given(streams(), st.data())
def test_of_an_adapter_too(
    records: List[Tuple[Dict[str, object], Any, Any]], data: st.DataObject
) -> None:
    """The same, where some fields are fixed for all records, as an adapter's constants are."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    kept: Dict[Tuple[Any, ...], KeySet] = {}
    for values, _, _ in records:
        snapshot = take_snapshot(values, 1.7e9)
        split = data.draw(st.integers(0, len(snapshot[2])))
        fixed, rest = snapshot[2][:split], snapshot[2][split:]
        key = (snapshot[1], split, repr(fixed))
        keys = kept.setdefault(key, KeySet(snapshot[1].fields, snapshot[1].unknown, fixed))
        created = NOW + data.draw(st.sampled_from([0, 1, 10**9, -(10**9)]))
        snapshot = (created, keys, rest, None, 0)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), values


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
        ({}, "upstream=192.0.2.7"),
    ],
)
def test_a_usual_record_goes_the_plain_way_once(
    changes: Mapping[str, Any], formatted: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a kind of record only the first is checked and encoded in full: that is what pays."""
    plain = count_plain(monkeypatch)
    encoder = RecordEncoder(b"ns1", b"test")
    for number in range(10):
        values = {**QUERY, **changes}
        if "dns_query_port" not in values:
            values["dns_query_address"] = (f"192.0.2.{number + 1}", 1000 + number)
        encoder.encode(take_snapshot(values, 1.7e9 + number, formatted), [])

    assert len(plain) == 1


def test_both_families_share_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is asked over IPv4 and IPv6 does not go the plain way for one of them."""
    plain = count_plain(monkeypatch)
    encoder = RecordEncoder(b"ns1", b"test")
    ends = [(("192.0.2.1", 1), ("192.0.2.53", 53)), (("2001:db8::1", 1), ("2001:db8::53", 53))]
    payloads = []
    for number in range(6):
        client, server = ends[number % 2]
        values = {**QUERY, "dns_query_address": client, "dns_response_address": server}
        snapshot = take_snapshot(values, 1.7e9)
        payloads.append(encoder.encode(snapshot, []))
        assert payloads[-1] == plainly(Encoder(b"ns1", b"test"), snapshot)[0]

    assert len(plain) == 1


@pytest.mark.parametrize("given", [False, True])
def test_times_go_on_into_the_next_second_and_back(given: bool) -> None:
    """Seconds and nanoseconds are those of each record, in whatever order the times come."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    second = 1_700_000_000
    fractions = [0.0, 0.25, 0.999, 1.0, 1.5, 0.75, 2.25, 1.0, 0.0, -0.5]
    floats = [second + fraction for fraction in fractions]
    integers = [int(time * 10**9) for time in floats]
    for time in [*floats, *integers, *(each for pair in zip(floats, integers) for each in pair)]:
        values = {**QUERY, "dns_query_time": time} if given else QUERY
        created, *rest = take_snapshot(values, 1.7e9)
        snapshot: Any = (created if given else time, *rest)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), time


@pytest.mark.parametrize("time", [5, 0, -5, -2 * 10**9, 0.5, -0.5, 999_999_999])
def test_a_time_that_is_none_is_left_out_by_a_new_template_too(time: float) -> None:
    """What looks like a time of 1970 is a problem, also where no other time came before it."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    for each in (NOW, time, time, NOW):
        snapshot = take_snapshot({**QUERY, "dns_query_time": each}, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot)


def test_no_template_is_made_of_a_record_that_was_converted() -> None:
    """A list gives a port as a socket address does: none of it may stay for a bare address."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    for address in (["192.0.2.1", 5], "192.0.2.1", ("192.0.2.1", 7), ["192.0.2.1", 5]):
        values = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": address}
        snapshot = take_snapshot(values, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot)


def test_a_family_that_is_given_is_held_against_each_address() -> None:
    """With dns_socket_family="INET" an IPv6 client is a problem, whatever came before it."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    for client in [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::1", 3), ("192.0.2.3", 4)]:
        values = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": client}
        snapshot = take_snapshot({**values, "dns_socket_family": "INET"}, 1.7e9)
        problems = by_template(encoder, snapshot)

        assert problems == plainly(plain, snapshot)
        assert len(problems[1]) == (":" in client[0]), problems


def test_what_is_remembered_is_bounded() -> None:
    """Ever new sets of keys, kinds and addresses do not fill the memory."""
    encoder = RecordEncoder(b"ns1", b"test")
    for number in range(3 * templates.MAX_LAYOUTS):
        encoder.encode(take_snapshot({**QUERY, f"other_{number}": 1}, 1.7e9), [])
    for number in range(3 * templates.MAX_TEMPLATES):
        values = {**QUERY, "dns_identity": f"server {number}"}
        encoder.encode(take_snapshot(values, 1.7e9), [])
    for number in range(3 * MAX_HOSTS):
        client = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 53)
        encoder.encode(take_snapshot({**QUERY, "dns_query_address": client}, 1.7e9), [])

    assert len(encoder._layouts) <= templates.MAX_LAYOUTS
    assert len(encoder._fills) <= templates.MAX_LAYOUTS
    assert all(len(each._fills) <= templates.MAX_TEMPLATES for each in encoder._layouts.values())
    assert len(encoder._hosts) <= MAX_HOSTS


def test_every_field_is_steady_or_filled_in_or_seldom() -> None:
    """A new field has to be put to one of them, or all records that have it go the plain way."""
    assert {*templates.FILLED, *templates.STEADY, "policy"} == set(FIELDS)
