"""`SamplingFilter`: whole transactions, a known share of them, and the share stated."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from typing import Any, Dict, List, Optional

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapHandler
from dnstap_logging.filters import SamplingFilter
from tests.filters.traffic import Server, close_and_read, query_for
from tests.helpers.programs import run_python
from tests.helpers.said import Said

KEY = b"a key for tests"


def record(**extras: Any) -> logging.LogRecord:
    """Return a record with these dns extras."""
    return logging.makeLogRecord({f"dns_{name}": value for name, value in extras.items()})


def query_with(number: int, name: str = "www.example.org.") -> dns.message.Message:
    """Return a query with a given ID, so that a test chooses the same ones each time."""
    query = query_for(name)
    query.id = number
    return query


def query_record(number: int, **extras: Any) -> logging.LogRecord:
    """Return the record of a query with a given ID."""
    wire = query_with(number).to_wire()
    fields = {"message_type": "CLIENT_QUERY", "query_message": wire, "query_address": "192.0.2.1"}
    return record(**{**fields, **extras})


def other_case(query: dns.message.Message) -> dns.message.Message:
    """Answer with the question in capitals, as some servers change its case."""
    response = dns.message.make_response(query)
    wire = response.to_wire().replace(b"www", b"WWW").replace(b"example", b"eXaMpLe")
    return dns.message.from_wire(wire)


@pytest.mark.parametrize("on_logger", [False, True], ids=["handler", "logger"])
def test_queries_and_responses_stay_together(
    logger: logging.Logger, handler: DnstapHandler, on_logger: bool
) -> None:
    """Of real traffic about 1 in 4 is kept, each query with its response, by UDP and TCP alike.

    The records of the responses have no query message, and the question in another case.
    """
    (logger if on_logger else handler).addFilter(SamplingFilter(4, key=KEY))
    with Server(logger, other_case) as server:
        for number in range(160):
            server.ask(query_with(number), tcp=number % 8 == 0)

    kept: Dict[int, List[str]] = {}
    protocols: Counter[str] = Counter()
    for message in close_and_read(handler):
        wire = message.query_message or message.response_message
        assert wire is not None
        kept.setdefault(int.from_bytes(wire[:2], "big"), []).append(message.message_type.name)
        assert message.socket_protocol is not None
        protocols[message.socket_protocol.name] += 1
    assert 20 <= len(kept) <= 60, f"{len(kept)} of 160 kept at a rate of 4"
    assert set(map(tuple, kept.values())) == {("CLIENT_QUERY", "CLIENT_RESPONSE")}
    assert set(protocols) == {"UDP", "TCP"}


@pytest.mark.parametrize("rate", [1, 2, 10, 100])
def test_the_share(rate: int) -> None:
    """1 in rate of many transactions is kept."""
    each = SamplingFilter(rate, key=KEY)

    kept = sum(each.filter(query_record(number)) for number in range(4000))

    assert 0.6 * 4000 / rate <= kept <= 1.4 * 4000 / rate


def choices(each: SamplingFilter, **extras: Any) -> List[bool]:
    """Return the verdicts about 64 queries: enough to distinguish any two hashes."""
    return [each.filter(query_record(number, **extras)) for number in range(64)]


CLIENTS: List[Any] = [
    "192.0.2.1",
    ("192.0.2.1", 5353),
    ["192.0.2.1", 53],
    b"\xc0\0\2\1",
    bytearray(b"\xc0\0\2\1"),
    ipaddress.ip_address("192.0.2.1"),
    ("::ffff:192.0.2.1", 1, 0, 0),
]


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_clients_in_every_form(client: Any) -> None:
    """The form of the address and the port make no difference, the address does."""
    each = SamplingFilter(2, key=KEY)

    assert choices(each, query_address=client) == choices(each)
    assert choices(each, query_address="192.0.2.2") != choices(each)


@given(st.integers(0, 65535), st.binary(max_size=40))
def test_a_response_without_its_query_message(number: int, rest: bytes) -> None:
    """A pair has one verdict, also when the query is garbage and the response only a header."""
    each = SamplingFilter(2, key=KEY)
    garbage = number.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + b"\xff" + rest
    formerr = number.to_bytes(2, "big") + b"\x81\1\0\0\0\0\0\0\0\0"

    query = each.filter(query_record(number, query_message=garbage))
    alone = record(message_type=6, response_message=formerr, query_address="192.0.2.1")
    both = record(
        message_type=6, query_message=garbage, response_message=formerr, query_address="192.0.2.1"
    )

    assert each.filter(alone) is query
    assert each.filter(both) is query


def test_a_response_without_the_question() -> None:
    """Some responses repeat no question: one with its query's message goes with the query."""
    each = SamplingFilter(2, key=KEY)
    for number in range(64):
        refused = number.to_bytes(2, "big") + b"\x81\5\0\0\0\0\0\0\0\0"
        response = query_record(number, message_type="CLIENT_RESPONSE", response_message=refused)

        assert each.filter(response) is each.filter(query_record(number)), number


def test_keys() -> None:
    """One key is one choice, in text and bytes; all filters without one agree."""
    assert choices(SamplingFilter(2, key=KEY)) == choices(SamplingFilter(2, key=KEY.decode()))
    assert choices(SamplingFilter(2, key=KEY)) != choices(SamplingFilter(2, key="another"))
    assert choices(SamplingFilter(2)) == choices(SamplingFilter(2))


PRINT_CHOICES = """
from tests.filters.test_sampling import choices
from dnstap_logging.filters import SamplingFilter
print(choices(SamplingFilter(2)), choices(SamplingFilter(2, key="shared")), sep="\\n")
"""


def test_other_processes() -> None:
    """The default key is another one in each process; a given key is the same everywhere."""
    done = run_python(PRINT_CHOICES)
    default, shared = done.stdout.splitlines()

    assert default != str(choices(SamplingFilter(2)))
    assert shared == str(choices(SamplingFilter(2, key="shared")))


@pytest.mark.parametrize(
    "extras",
    [
        [{"query_address": ("192.0.2.1", port)} for port in range(64)],
        [{"query_address": "192.0.2.1", "query_port": port} for port in range(64)],
        [{"query_address": f"192.0.2.{host}", "query_message": b"x"} for host in range(64)],
        [{"query_message": object(), "query_address": str(port)} for port in range(64)],
    ],
    ids=["port", "query_port", "cut message", "nothing to read"],
)
def test_records_without_a_message(extras: List[Dict[str, Any]]) -> None:
    """Without a readable message a part is kept, too, and never all or nothing."""
    each = SamplingFilter(2, key=KEY)
    records = [record(message_type="CLIENT_QUERY", **fields) for fields in extras]
    for number, one in enumerate(records):
        one.created = 1_700_000_000 + number

    assert 0 < sum(map(each.filter, records)) < 64


@pytest.mark.parametrize(
    ("given_extra", "stated"),
    [(None, b"sample_rate=1"), ("", b"sample_rate=1"), ("a=b", b"a=b sample_rate=1"),
     (b"\xff", b"\xff sample_rate=1"), (bytearray(b"x"), b"x sample_rate=1")],
)  # fmt: skip
def test_the_rate_is_stated(
    logger: logging.Logger, handler: DnstapHandler, given_extra: Any, stated: bytes
) -> None:
    """Every message has the rate; other handlers see the record unchanged."""
    handler.addFilter(SamplingFilter(1, state_rate=True))
    seen: List[Any] = []
    other = logging.Handler()
    other.emit = lambda record: seen.append(record.__dict__.get("dns_extra"))  # type: ignore[method-assign]
    logger.addHandler(other)

    with Server(logger, changes={"dns_extra": given_extra}) as server:
        server.ask(query_for("www.example.org."))

    assert [message.extra for message in close_and_read(handler)] == [stated, stated]
    assert seen == [given_extra, given_extra]


def test_a_bad_extra_is_left_to_the_handler(logger: logging.Logger, handler: DnstapHandler) -> None:
    """The program's mistake is still counted, and the record still sent."""
    handler.addFilter(SamplingFilter(1, state_rate=True))

    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_extra": 5})

    assert [message.extra for message in close_and_read(handler)] == [None]
    assert handler.stats().invalid_fields == 1


@pytest.mark.parametrize("state_rate", [False, True])
def test_the_rate_cannot_be_stated_from_a_logger(
    logger: logging.Logger, handler: DnstapHandler, said: Said, state_rate: bool
) -> None:
    """There the filter still chooses, and says that the rate is missing."""
    logger.addFilter(SamplingFilter(1, state_rate=state_rate))

    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})

    extras: List[Optional[bytes]] = [message.extra for message in close_and_read(handler)]
    assert extras == [None]
    if state_rate:
        assert said.wait_for("state_rate=True needs a dnstap handler").startswith("SamplingFilter")
    else:
        assert said.with_text("SamplingFilter") == []


def test_records_without_dns_extras_pass() -> None:
    """On a logger, the program's other records are never sampled."""
    each = SamplingFilter(10**12)
    plain = logging.makeLogRecord({"msg": "started"})

    assert each.filter(plain)
    assert each.dnstap_filter(plain) is True
