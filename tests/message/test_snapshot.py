"""The snapshot of the calling thread: what is copied, and that nothing raises."""

from __future__ import annotations

import enum
import ipaddress
import threading
from array import array
from datetime import datetime, timezone, tzinfo
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, NoReturn, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.exceptions import EncodeError
from dnstap_logging.message.check import Problem, message_from_snapshot
from dnstap_logging.message.enums import MessageType
from dnstap_logging.message.fields import FIELDS, has_dns_keys
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.policy import Policy
from dnstap_logging.message.snapshot import SIZE, Converted, Unusable, created_ns, take_snapshot

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
KEYS = [field.key for field in FIELDS.values()]


def checked(values: Mapping[str, object]) -> DnstapMessage:
    """Process a record that has no problem."""
    problems: List[Problem] = []
    message = message_from_snapshot(take_snapshot(values, 1.0), problems)
    assert problems == []
    return message


# -- what goes into a snapshot -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dns_query_message", bytes(40)),
        ("dns_query_message", bytes(65535)),
        ("dns_query_address", ("192.0.2.1", 5353)),
        ("dns_query_address", "192.0.2.1"),
        ("dns_query_time", 1.5),
        ("dns_query_time", datetime(2023, 1, 1, tzinfo=timezone.utc)),
        ("dns_policy", Policy("RPZ")),
        ("dns_message_type", MessageType.CLIENT_QUERY),
        ("dns_query_port", None),
        ("dns_query_port", "anything"),
    ],
)
def test_plain_values_are_kept_as_they_are(key: str, value: object) -> None:
    """What cannot change is neither copied nor looked at in the calling thread."""
    snapshot = take_snapshot({key: value}, 1.0)

    assert snapshot[2] == (value,)
    assert snapshot[2][0] is value


def test_addresses_of_the_standard_library_are_plain() -> None:
    """ipaddress objects are kept as they are, from the second one on."""
    for text in ("192.0.2.1", "2001:db8::1"):
        take_snapshot({"dns_query_address": ipaddress.ip_address(text)}, 1.0)
        value = ipaddress.ip_address(text)
        assert take_snapshot({"dns_query_address": value}, 1.0)[2][0] is value


def test_receive_buffers_may_be_used_again() -> None:
    """A bytearray or memoryview that changes after the call does not change the message."""
    buffer, view = bytearray(WIRE), bytearray(WIRE)
    values = {
        "dns_message_type": 5,
        "dns_query_message": buffer,
        "dns_response_message": memoryview(view),
        "dns_query_address": bytearray([192, 0, 2, 1]),
        "dns_extra": buffer,
    }
    snapshot = take_snapshot(values, 1.0)
    buffer[:] = b"\xee" * len(buffer)
    view[:] = b"\xee" * len(view)
    values["dns_query_address"][0] = 7  # type: ignore[index]
    message = message_from_snapshot(snapshot, [])

    assert (message.query_message, message.response_message) == (WIRE, WIRE)
    assert message.query_address == bytes([192, 0, 2, 1])
    assert message.extra == WIRE


def test_containers_may_change() -> None:
    """So may lists and mappings, and what is in them."""
    where: List[Any] = ["192.0.2.1", 53]
    inside = (bytearray([192, 0, 2, 1]), 53)
    policy: Dict[str, Any] = {"type": "RPZ", "value": bytearray(b"x")}
    values = {"dns_message_type": 5, "dns_query_address": where, "dns_response_address": inside}
    snapshot = take_snapshot({**values, "dns_policy": policy}, 1.0)
    where[:] = []
    inside[0][0] = 7
    policy["value"][0] = 7
    policy["type"] = None
    message = message_from_snapshot(snapshot, [])

    assert (message.query_address, message.query_port) == (bytes([192, 0, 2, 1]), 53)
    assert message.response_address == bytes([192, 0, 2, 1])
    assert message.policy == Policy("RPZ", value=b"x")


def test_objects_are_rendered_in_the_calling_thread() -> None:
    """to_wire() and pack() are called once, by the thread that logs."""
    callers = []

    class Message:
        def pack(self) -> bytes:
            callers.append(threading.get_ident())
            return WIRE

    snapshot = take_snapshot({"dns_message_type": 5, "dns_query_message": Message()}, 1.0)
    other = threading.Thread(target=message_from_snapshot, args=(snapshot, []))
    other.start()
    other.join(20)

    assert callers == [threading.get_ident()]
    assert message_from_snapshot(snapshot, []).query_message == WIRE


@pytest.mark.parametrize(
    ("values", "formatted", "size"),
    [
        ({"dns_message_type": "CLIENT_QUERY", "dns_query_address": b"1234"}, None, 4),
        ({"dns_query_address": ("192.0.2.1", 53), "dns_query_port": 53}, None, 0),
        ({"dns_query_message": WIRE}, None, len(WIRE)),
        ({"dns_query_message": bytearray(WIRE)}, None, len(WIRE)),
        ({"dns_query_message": WIRE, "dns_response_message": bytes(100)}, None, len(WIRE) + 100),
        ({"dns_query_message": WIRE, "dns_query_port": []}, None, len(WIRE)),
        ({"dns_query_zone": "example.com", "dns_extra": "x" * 256}, None, 256),
        ({"dns_query_zone": bytearray(b"\1a\0")}, None, 3),
        ({"dns_extra": "1234"}, "x" * 255, 0),
        ({"dns_extra": "1234"}, "x" * 256, 256),
        ({"dns_extra": None}, b"12345", 5),
        ({"dns_extra": []}, bytearray(b"12345"), 5),
        ({"dns_identity": "ns1", "dns_version": b"1"}, None, 1),
        ({"dns_query_message": []}, Unusable("no"), 0),
    ],
)
def test_size(values: Dict[str, Any], formatted: Any, size: int) -> None:
    """The size is that of all octets and of long texts, whatever they are for."""
    assert take_snapshot(values, 1.0, formatted)[SIZE] == size


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, ("x" * 10**6, 53)])
@pytest.mark.parametrize("key", ["dns_message_type", "dns_query_address", "dns_socket_protocol"])
def test_long_values_of_short_fields_are_counted(key: str, value: object) -> None:
    """The queue is bounded in bytes: what it holds must be in the size, useful or not."""
    assert take_snapshot({key: value}, 1.0)[SIZE] == 10**6


def test_created_is_nanoseconds() -> None:
    """The record's creation is read in nanoseconds, exactly."""
    assert created_ns(take_snapshot({}, 1_700_000_000.25)[0]) == 1_700_000_000_250_000_000


def test_no_keys_at_all() -> None:
    """Even a record without dns extras gives a snapshot."""
    assert take_snapshot({"message": "x"}, 1.0)[2] == ()


# -- nothing raises ----------------------------------------------------------------------------


class Trap(Exception):
    """What hostile values raise."""


def spring(*_: object, **__: object) -> NoReturn:
    """Raise, whatever is asked."""
    raise Trap("sprung")


HOOKS = [
    *("__repr__", "__str__", "__bytes__", "__len__", "__iter__", "__getitem__", "__contains__"),
    *("__eq__", "__hash__", "__bool__", "__index__", "__int__", "__float__", "__getattribute__"),
    *("keys", "name", "packed", "utcoffset", "to_wire", "pack"),
]


def trapped(base: type, *arguments: object) -> Any:
    """Return a value of a subclass whose every method raises."""
    subclass = type(f"Trapped{base.__name__}", (base,), {"__class__": property(spring)})
    value = subclass(*arguments)
    for hook in HOOKS:
        setattr(subclass, hook, spring)
    return value


class HostileZone(tzinfo):
    """A time zone that raises in the writer thread."""

    utcoffset = spring


class Endless(Mapping[str, object]):
    """A mapping whose keys never end."""

    def __getitem__(self, key: str) -> object:
        return key

    def __iter__(self) -> Iterator[str]:
        while True:
            yield "type"

    def __len__(self) -> int:
        return 1


class Colour(enum.Flag):
    """An enumeration that has nothing to do with DNS, and members without a name."""

    RED = 1
    BLUE = 2


released = memoryview(b"gone")
released.release()

HOSTILE = {
    **{
        base.__name__: trapped(base) for base in (object, str, bytes, int, float, tuple, list, dict)
    },
    "datetime": trapped(datetime, 2023, 1, 1),
    "address": trapped(ipaddress.IPv4Address, "192.0.2.1"),
    "bytearray": trapped(bytearray, b"1234"),
    "zone": datetime(2023, 1, 1, tzinfo=HostileZone()),
    "released": released,
    "array": array("d", [1.0]),
    "endless": Endless(),
    "type": type,
    "class": Trap,
    "function": spring,
    "generator": (_ for _ in ()),
    "flag": Colour.RED | Colour.BLUE,
    "no flag": Colour(0),
    "complex": 1j,
    "huge": 10**5000,
    "surrogate": "\ud800",
    "proxy": MappingProxyType({"type": "RPZ"}),
    "nested": ((((),),),),
    "trap in tuple": (trapped(str, "192.0.2.1"), trapped(int, 53)),
    "trap in dict": {"type": trapped(str, "x"), "action": trapped(object)},
    "unhashable tuple": ([], {}),
    "markers": Converted(5),
    "unusable": Unusable("x"),
}


def survives(values: Mapping[str, Any], created: Any = 1.0, formatted: Any = None) -> bool:
    """Take and check a record; return whether it is a message. Only an EncodeError may come."""
    snapshot = take_snapshot(values, created, formatted)
    problems: List[Problem] = []
    message = None
    try:
        message = message_from_snapshot(snapshot, problems)
    except EncodeError as error:
        problems.append(("record", str(error)))
    assert all(text.isprintable() for _, text in problems), ascii(problems)
    if message is None:
        return False
    assert type(message) is DnstapMessage
    hash(message)
    return True


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", KEYS)
def test_hostile_values(key: str, name: str) -> None:
    """Objects whose every method raises cost at most their field; the type costs the record."""
    values = {"dns_message_type": 5, "dns_query_message": WIRE, key: HOSTILE[name]}

    assert survives(values) is (key != "dns_message_type")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_surroundings(name: str) -> None:
    """The creation and the formatter's text may be anything as well."""
    assert survives({"dns_message_type": 5}, HOSTILE[name], HOSTILE[name])


class Key(str):
    """A key that turns hostile once it is in the dict."""

    armed = False

    def __eq__(self, other: object) -> bool:
        return spring() if self.armed else str.__eq__(self, other)

    def __hash__(self) -> int:
        return spring() if self.armed else str.__hash__(self)


@pytest.mark.parametrize("name", ["dns_message_type", "dns_query_port", "dns_odd", "other"])
def test_hostile_keys(name: str) -> None:
    """A key whose hash raises does not raise into the log call."""
    key = Key(name)
    values = {key: 5, "dns_query_zone": "."}
    key.armed = True

    assert survives(values) is False
    assert has_dns_keys(values) in (True, False)


class HostileMapping(Dict[str, object]):
    """A dict of extras that cannot be read."""

    __iter__ = spring
    __getitem__ = spring


def test_hostile_mapping() -> None:
    """Extras that cannot be read are an invalid message, not an exception."""
    values = HostileMapping(dns_message_type=5)

    assert survives(values) is False


class StandIn(NamedTuple):
    """Stands for a hostile value where hypothesis would look at it."""

    name: str


def with_hostile(value: Any) -> Any:
    """Put the hostile values in the place of their stand-ins."""
    if isinstance(value, StandIn):
        return HOSTILE[value.name]
    if isinstance(value, dict):
        return {key: with_hostile(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(with_hostile, value))
    return value


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(),
        st.binary(), st.binary().map(bytearray), st.datetimes(timezones=st.none() | st.timezones()),
        st.dates(), st.timedeltas(), st.uuids(), st.ip_addresses(), st.decimals(), st.fractions(),
        st.sampled_from(list(HOSTILE)).map(StandIn),
        st.sampled_from([*MessageType, "CLIENT_QUERY", "UDP", "INET", "127.0.0.1", "::1", "."]),
    ),
    lambda inner: st.lists(inner, max_size=5) | st.lists(inner, max_size=5).map(tuple)
    | st.dictionaries(st.text(max_size=8) | st.sampled_from(Policy._fields), inner, max_size=5),
    max_leaves=10,
)  # fmt: skip


@relaxed
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=20), ANYTHING), ANYTHING)
def test_anything(values: Dict[str, Any], formatted: Any) -> None:
    """No value of any type for any extra raises; only EncodeErrors come out of check."""
    values, formatted = with_hostile(values), with_hostile(formatted)
    survives(values, formatted=formatted)
    survives({**values, "dns_message_type": "CLIENT_RESPONSE"}, formatted=formatted)


def test_what_stops_a_program_passes_through() -> None:
    """Ctrl-C while a message renders itself is the program's, not ours to swallow."""

    class Message:
        def to_wire(self) -> Optional[bytes]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_snapshot({"dns_query_message": Message()}, 1.0)
