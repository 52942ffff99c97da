"""The client subnet inside DNS messages: cut to size, in messages that stay valid."""

from __future__ import annotations

import struct
from typing import List, Optional, Tuple

import dns.edns
import dns.exception
import dns.message
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring
import dns.update
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnstap_logging.filters import AnonymizingFilter
from dnstap_logging.filters.client_subnet import hide_client_subnets
from tests.filters.traffic import KEY, query_for, subnet_query, subnets_in

NAME = b"\3www\7example\3org\0"
QUESTION = NAME + b"\0\1\0\1"
PLACE_OF_OPT = 12 + len(QUESTION)


def message(*records: bytes, question: bytes = QUESTION) -> bytes:
    """Return a DNS message with these additional records, made by hand."""
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, len(records)) + question + b"".join(records)


def opt(*options: bytes) -> bytes:
    """Return an OPT record."""
    data = b"".join(options)
    return b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(data)) + data


def option(code: int, data: bytes) -> bytes:
    """Return an EDNS option."""
    return struct.pack("!HH", code, len(data)) + data


def subnet(family: int, source: int, scope: int, address: bytes, code: int = 8) -> bytes:
    """Return a client subnet option."""
    return option(code, struct.pack("!HBB", family, source, scope) + address)


def hidden(wire: bytes, ipv4: int = 24, ipv6: int = 48, key: Optional[bytes] = None) -> object:
    """Return a message after the filter."""
    return hide_client_subnets(wire, AnonymizingFilter(ipv4, ipv6, key)._hide)


IPV4 = b"\xc6\x33\x64\x4d"  # 198.51.100.77
IPV6 = b"\x20\1\x0d\xb8\0\1\0\2\0\3\0\4\0\5\0\6"
MAPPED = bytes(10) + b"\xff\xff" + IPV4
COOKIE = option(10, b"12345678")
PADDING = option(12, b"")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([subnet(1, 32, 0, IPV4)], [subnet(1, 24, 0, IPV4[:3])]),
        ([subnet(1, 32, 32, IPV4)], [subnet(1, 24, 32, IPV4[:3])]),
        ([subnet(1, 24, 0, IPV4[:3])], [subnet(1, 24, 0, IPV4[:3])]),
        ([subnet(1, 20, 16, b"\xc6\x33\x60")], [subnet(1, 20, 16, b"\xc6\x33\x60")]),
        ([subnet(1, 20, 16, b"\xc6\x33\x6f")], [subnet(1, 20, 16, b"\xc6\x33\x60")]),
        ([subnet(2, 128, 0, IPV6)], [subnet(2, 48, 0, IPV6[:6])]),
        ([subnet(2, 56, 48, IPV6[:7])], [subnet(2, 48, 48, IPV6[:6])]),
        ([subnet(2, 128, 0, MAPPED)], [subnet(2, 120, 0, MAPPED[:15])]),
        ([subnet(1, 0, 0, b"")], [subnet(1, 0, 0, b"")]),
        ([COOKIE, subnet(1, 32, 0, IPV4), PADDING], [COOKIE, subnet(1, 24, 0, IPV4[:3]), PADDING]),
        ([subnet(1, 32, 0, IPV4)] * 2, [subnet(1, 24, 0, IPV4[:3])] * 2),
        ([subnet(0, 0, 0, b""), COOKIE], [COOKIE]),
        ([subnet(3, 32, 0, IPV4), COOKIE], [COOKIE]),
        ([subnet(1, 33, 0, IPV4 + b"\1")], []),
        ([subnet(1, 24, 33, IPV4[:3])], []),
        ([subnet(1, 24, 0, IPV4)], []),
        ([subnet(1, 32, 0, IPV4[:3])], []),
        ([option(8, b"\0\1\x20")], []),
    ],
    ids=["32", "scope", "24", "20", "bits after 20", "128", "56", "IPv4 in IPv6", "0", "others",
         "two", "family 0", "family 3", "source", "scope of 33", "long", "short", "no scope"],
)  # fmt: skip
def test_options(before: List[bytes], after: List[bytes]) -> None:
    """The address and all lengths are cut; what is not a client subnet by RFC 7871 is removed."""
    assert hidden(message(opt(*before))) == message(opt(*after))


@pytest.mark.parametrize(("ipv4", "ipv6"), [(0, 48), (24, 0)])
def test_removal(ipv4: int, ipv6: int) -> None:
    """A removed family's option is gone, the other's is cut; one without an address stays."""
    both = message(opt(subnet(1, 32, 0, IPV4), subnet(2, 128, 0, IPV6), subnet(1, 0, 0, b"")))
    left = subnet(2, 48, 0, IPV6[:6]) if ipv6 else subnet(1, 24, 0, IPV4[:3])

    assert hidden(both, ipv4, ipv6) == message(opt(left, subnet(1, 0, 0, b"")))


def test_pseudonyms() -> None:
    """The known bits become those of the client's pseudonym, the rest stays zero."""
    whole = AnonymizingFilter(key=KEY)._hide(IPV4, 32)[0]
    wire = message(
        opt(subnet(1, 32, 0, IPV4), subnet(1, 24, 0, IPV4[:3]), subnet(2, 128, 0, MAPPED))
    )

    expected = [
        subnet(1, 32, 0, whole),
        subnet(1, 24, 0, whole[:3]),
        subnet(2, 128, 0, MAPPED[:12] + whole),
    ]
    assert hidden(wire, 32, 128, KEY) == message(opt(*expected))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 32, 0, IPV4), (1, 24, 0, IPV4[:3])),
        ((2, 128, 0, IPV6), (2, 48, 0, IPV6[:6])),
        ((1, 0, 0, b""), (1, 0, 0, b"")),
        ((1, 33, 0, IPV4 + b"\1"), None),
    ],
    ids=["IPv4", "IPv6", "0", "unreadable"],
)
def test_the_old_code(
    before: Tuple[int, int, int, bytes], after: Optional[Tuple[int, int, int, bytes]]
) -> None:
    """0x50fa, which a client subnet had before 8, is treated as 8 is; both in one message, too."""
    both = message(opt(subnet(*before), COOKIE, subnet(*before, code=0x50FA)))
    left = [] if after is None else [subnet(*after), subnet(*after, code=0x50FA)]

    assert hidden(both) == message(opt(*[*left[:1], COOKIE, *left[1:]]))
    assert hidden(message(opt(subnet(*before, code=0x50FA)))) == message(opt(*left[1:]))


def umbrella(*fields: bytes, start: bytes = b"ODNS\1\0") -> bytes:
    """Return Cisco Umbrella's option, as dnsmasq makes it."""
    return option(20292, start + b"".join(fields))


ORGANIZATION, OF_IPV4, OF_IPV6 = b"\0\x08\0\0\x12\x34", b"\0\x10", b"\0\x20"
DEVICE, ASSET = b"\0\x40" + b"device-8", b"\0\4" + b"asst"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (umbrella(OF_IPV4 + IPV4), umbrella(OF_IPV4 + IPV4[:3] + b"\0")),
        (umbrella(OF_IPV6 + IPV6), umbrella(OF_IPV6 + IPV6[:6] + bytes(10))),
        (umbrella(OF_IPV6 + MAPPED), umbrella(OF_IPV6 + MAPPED[:15] + b"\0")),
        (
            umbrella(ORGANIZATION, OF_IPV4 + IPV4, DEVICE, ASSET),
            umbrella(ORGANIZATION, OF_IPV4 + IPV4[:3] + b"\0"),
        ),
        (umbrella(ORGANIZATION), umbrella(ORGANIZATION)),
        (umbrella(DEVICE), b""),
        (umbrella(ASSET), b""),
        (umbrella(), b""),
        (umbrella(ORGANIZATION, b"\0\x80" + IPV4), b""),
        (umbrella(OF_IPV4 + IPV4, OF_IPV4 + IPV4), b""),
        (umbrella(ORGANIZATION, OF_IPV4 + IPV4[:3]), b""),
        (umbrella(ORGANIZATION, OF_IPV4[:1]), b""),
        (umbrella(OF_IPV4), b""),
        (umbrella(OF_IPV4 + IPV4, start=b"ODNS\2\0"), b""),
        (umbrella(OF_IPV4 + IPV4, start=b"ODNX\1\0"), b""),
        (umbrella(start=b"ODNS\1"), b""),
        (umbrella(start=IPV4), b""),
        (umbrella(start=b""), b""),
    ],
    ids=["IPv4", "IPv6", "IPv4 in IPv6", "all fields", "organization", "device", "asset", "nothing",
         "unknown field", "twice", "cut address", "cut type", "no address", "version", "magic",
         "no flags", "an address alone", "empty"],
)  # fmt: skip
def test_umbrella(before: bytes, after: bytes) -> None:
    """20292 keeps its organization, and networks of its addresses; unreadable, it is removed."""
    assert hidden(message(opt(COOKIE, before, PADDING))) == message(opt(COOKIE, after, PADDING))


def test_umbrella_without_addresses() -> None:
    """Where addresses are removed, the fields go; with a key, pseudonyms take their places."""
    wire = message(opt(umbrella(ORGANIZATION, OF_IPV4 + IPV4)))
    whole = AnonymizingFilter(key=KEY)._hide(IPV4, 32)[0]

    assert hidden(wire, 0, 0) == message(opt(umbrella(ORGANIZATION)))
    assert hidden(message(opt(umbrella(OF_IPV4 + IPV4))), 0, 0) == message(opt())
    assert hidden(wire, 32, 128, KEY) == message(opt(umbrella(ORGANIZATION, OF_IPV4 + whole)))


@pytest.mark.parametrize(
    "found",
    [
        option(4, bytes(2) + b"\0\1\2\3\4\5"),
        option(4, b"OpenDNS" + bytes(8)),
        option(26946, b"device"),
        option(65001, b"\0\1\2\3\4\5"),
        option(65073, b"00:01:02:03:04:05"),
        option(65074, b"a customer's router"),
        option(65001, b""),
    ],
    ids=["owner", "OpenDNS", "DeviceID", "MAC", "MAC as text", "equipment", "empty"],
)
@pytest.mark.parametrize("ipv4", [0, 32])
def test_what_names_the_client_is_removed(found: bytes, ipv4: int) -> None:
    """MAC addresses and devices have no bits that could be kept; other options stay."""
    others = COOKIE, option(3, b"server"), option(65002, b"x"), PADDING

    assert hidden(message(opt(found, *others)), ipv4) == message(opt(*others))


XPF = b"\0" + struct.pack("!HHIH", 65422, 1, 0, 14) + b"\4\x11" + IPV4 * 2 + b"\0\x35\0\x35"


@pytest.mark.parametrize(
    "records",
    [[XPF], [opt(), XPF], [XPF, opt(subnet(1, 32, 0, IPV4))], [b"\1x" + XPF], [XPF[:-1]]],
    ids=["alone", "after OPT", "before OPT", "with a name", "cut"],
)
def test_xpf(records: List[bytes]) -> None:
    """A message with dnsdist's record of the client's address is removed, whatever is kept."""
    assert hidden(message(*records)) is None
    assert hidden(message(*records), 32, 128) is None


def test_octets_of_xpf_in_a_name() -> None:
    """The two octets of its type elsewhere do no harm."""
    wire = message(question=b"\3\xff\x8ex\0\0\1\0\1")

    assert hidden(wire) == wire


@pytest.mark.parametrize(
    "records",
    [
        [opt(subnet(1, 32, 0, IPV4))] * 2,
        [opt(subnet(1, 32, 0, IPV4)), opt()],
        [opt(), opt(option(65001, b"\0\1\2\3\4\5"))],
        [opt(), b"\1x" + opt(subnet(1, 32, 0, IPV4))],
    ],
    ids=["subnets", "one empty", "MAC", "with a name"],
)
def test_more_than_one_opt(records: List[bytes]) -> None:
    """RFC 6891, 6.1.1 forbids it: such a message is unreadable, and is removed."""
    assert hidden(message(*records)) is None


def test_many_addresses() -> None:
    """Sixteen options with an address are read; a message with more is removed."""
    found = [subnet(1, 32, 0, IPV4), subnet(1, 32, 0, IPV4, 0x50FA), umbrella(OF_IPV4 + IPV4)] * 5
    wire = hidden(message(opt(*found, found[0])))

    assert isinstance(wire, bytes)
    assert IPV4 not in wire
    assert hidden(message(opt(*found, found[0], found[1]))) is None


SUBNET = opt(subnet(1, 32, 0, IPV4))
TSIG = b"\3key\0" + struct.pack("!HHIH", 250, 255, 0, 20) + bytes(20)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (message(SUBNET)[:-1], None),
        (message(SUBNET)[:-8], None),
        (message(SUBNET, question=b"\x80" + QUESTION), None),
        (message(SUBNET, question=b"\xc0\x20\0\1\0\1"), None),
        (message(opt(subnet(1, 32, 0, IPV4)[:-1])), None),
        (message(opt(subnet(1, 32, 0, IPV4), b"\0\x08\0")), None),
        (b"\0\x29\0\x08", None),
        (SUBNET, None),
        (message(SUBNET) + IPV4, message(opt(subnet(1, 24, 0, IPV4[:3])))),
        (message() + SUBNET, message()),
        (message(SUBNET, TSIG), message(opt(subnet(1, 24, 0, IPV4[:3])), TSIG)),
        (message(b"\0\0\x29")[:-1] + IPV4, message(b"\0\0\x29")[:-1] + IPV4),
        (b"", b""),
        (IPV4, IPV4),
    ],
    ids=["cut", "no data", "label", "pointer ahead", "cut option", "cut option header",
         "short", "no header", "rest", "no records", "TSIG", "no subnet", "empty", "garbage"],
)  # fmt: skip
def test_garbage(wire: bytes, expected: Optional[bytes]) -> None:
    """What cannot be read and may hold a client subnet is removed; a rest is cut off."""
    assert hidden(wire) == expected


def test_messages_without_a_subnet_stay_as_they_are() -> None:
    """They are not even copied: a signed one still verifies."""
    keyring = dns.tsigkeyring.from_text({"key.": "c2VjcmV0"})
    signed = query_for("www.example.org.", use_edns=0, payload=4096)
    signed.use_tsig(keyring)
    wire = signed.to_wire()

    assert hidden(wire) is wire
    dns.message.from_wire(wire, keyring=keyring)


def test_a_signed_message_with_a_subnet() -> None:
    """It keeps its signature and does not verify any more."""
    keyring = dns.tsigkeyring.from_text({"key.": "c2VjcmV0"})
    signed = subnet_query("198.51.100.77/32")
    signed.use_tsig(keyring)
    wire = hidden(signed.to_wire())
    assert isinstance(wire, bytes)

    assert subnets_in_signed(wire) == ["198.51.100.0/24"]
    with pytest.raises(dns.exception.DNSException):
        dns.message.from_wire(wire, keyring=keyring)


def subnets_in_signed(wire: bytes) -> List[str]:
    """Return the client subnets of a message whose signature nobody checks."""
    parsed = dns.message.from_wire(wire, keyring=False)
    assert parsed.had_tsig
    return [str(each.to_text()).split()[1] for each in parsed.options]


def test_updates() -> None:
    """The sections of an update are read like any others."""
    update = dns.update.UpdateMessage("example.org.")
    update.present("www")
    update.delete("old", "A")
    update.add("www", 60, "A", "203.0.113.1")
    update.use_edns(0, options=[dns.edns.ECSOption("198.51.100.77", 32)])
    original = update.to_wire()
    wire = hidden(original)
    assert isinstance(wire, bytes)

    assert subnets_in(wire) == ["198.51.100.0/24/0"]
    assert dns.message.from_wire(wire).sections == dns.message.from_wire(original).sections


def address_record(owner: bytes, last: int) -> bytes:
    """Return an A record."""
    return owner + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((203, 0, 113, last))


def test_names_that_point_past_the_option() -> None:
    """Records after OPT would lose their names if it shrank, so its place is filled up."""
    first = address_record(b"\3ns1\xc0\x10", 1)
    name_of_first = PLACE_OF_OPT + len(SUBNET)
    pointing = address_record(struct.pack("!H", 0xC000 + name_of_first), 2)
    wire = message(SUBNET, first, pointing)

    changed = hidden(wire)

    assert isinstance(changed, bytes)
    before, after = dns.message.from_wire(wire), dns.message.from_wire(changed)
    assert after.additional == before.additional
    assert str(after.additional[0].name) == "ns1.example.org."
    assert subnets_in(changed) == []
    assert IPV4[3:] not in changed[PLACE_OF_OPT:name_of_first]
    assert hidden(message(SUBNET, first)) == message(opt(subnet(1, 24, 0, IPV4[:3])), first)


SUBNETS = st.tuples(st.integers(0, 32), st.integers(0, 32), st.ip_addresses(v=4)) | st.tuples(
    st.integers(0, 128), st.integers(0, 128), st.ip_addresses(v=6)
)
NAMES = st.sampled_from(["www.example.org.", "a.www.example.org.", ".", "example.com."])
OTHERS = st.binary(max_size=20).map(lambda data: dns.edns.GenericOption(65002, data))
TSIG_KEYS = dns.tsigkeyring.from_text({"key.example.org.": "c2VjcmV0"})


@st.composite
def messages(draw: st.DrawFn) -> Tuple[dns.message.Message, bytes]:
    """Return messages as dnspython makes them, and what they are on the wire."""
    query = query_for(draw(NAMES), draw(st.sampled_from(["A", "AAAA", "OPENPGPKEY", "NS"])))
    made = dns.message.make_response(query) if draw(st.booleans()) else query
    for section in (made.answer, made.authority, made.additional):
        for number in range(draw(st.integers(0, 3))):
            target = f"ns{number}.{draw(NAMES)}".replace("..", ".")
            section.append(dns.rrset.from_text(draw(NAMES), number, "IN", "NS", target))
    subnets = [
        dns.edns.ECSOption(str(address), source, scope)
        for source, scope, address in draw(st.lists(SUBNETS, max_size=3))
    ]
    options = draw(st.permutations([*subnets, *draw(st.lists(OTHERS, max_size=2))]))
    if draw(st.booleans()):
        made.use_tsig(TSIG_KEYS)
    made.use_edns(0, payload=4096, options=options)
    made.id = 7  # a random one would make failures irreproducible
    return made, made.to_wire()


@given(messages(), st.integers(0, 32), st.integers(0, 128), st.booleans())
def test_messages_of_dnspython(
    made: Tuple[dns.message.Message, bytes], ipv4: int, ipv6: int, with_key: bool
) -> None:
    """Whatever dnspython can say decodes afterwards, and differs in the client subnets only."""
    changed = hidden(made[1], ipv4, ipv6, KEY if with_key else None)
    assert isinstance(changed, bytes)
    before, after = (dns.message.from_wire(wire, keyring=False) for wire in (made[1], changed))

    assert after.sections == before.sections
    assert (after.id, after.flags, after.payload) == (before.id, before.flags, before.payload)
    assert after.had_tsig == before.had_tsig
    rest = [each for each in after.options if not isinstance(each, dns.edns.ECSOption)]
    assert rest == [each for each in before.options if not isinstance(each, dns.edns.ECSOption)]
    left = [each for each in after.options if isinstance(each, dns.edns.ECSOption)]
    limits = [min(each.srclen, ipv4 if each.family == 1 else ipv6) if each.srclen else None
              for each in before.options if isinstance(each, dns.edns.ECSOption)]  # fmt: skip
    if not any(IS_EMBEDDED(each) for each in before.options):
        assert [each.srclen or None for each in left] == [each for each in limits if each != 0]
    for each in left:
        assert len(each.to_wire()) == 4 + (each.srclen + 7) // 8


def IS_EMBEDDED(each: dns.edns.Option) -> bool:  # noqa: N802
    """Return whether a client subnet has an IPv4 address inside IPv6: other rules cut it."""
    text = str(getattr(each, "address", ""))
    return text.startswith(("2002:", "::ffff:", "64:ff9b:"))


@given(messages(), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3))
def test_damaged_messages(
    made: Tuple[dns.message.Message, bytes], damage: List[Tuple[int, int]]
) -> None:
    """Nothing raises; and what dnspython can still read has only the prefixes."""
    wire = bytearray(made[1])
    for place, octet in damage:
        wire[place % len(wire)] = octet
    changed = hidden(bytes(wire), 8, 16)
    assume(changed is not None)
    assert isinstance(changed, bytes)

    try:
        parsed = dns.message.from_wire(changed, keyring=False)
    except (dns.exception.DNSException, ValueError):
        return
    for each in parsed.options:
        if isinstance(each, dns.edns.ECSOption):
            assert each.srclen <= (8 if each.family == 1 else 16) or IS_EMBEDDED(each)
