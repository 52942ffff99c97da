"""`PendingQueries`: which response belongs to which query."""

from __future__ import annotations

from typing import Dict, List, Tuple

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.integrations import pending
from dnstap_logging.integrations.pending import PendingQueries


def query(number: int, name: str = "example.org", kind: str = "A") -> bytes:
    """Return a query with an ID of ours."""
    return dns.message.make_query(name, kind, id=number).to_wire()


def response(wire: bytes) -> bytes:
    """Return the response to a query."""
    return dns.message.make_response(dns.message.from_wire(wire)).to_wire()


def test_question_tells_equal_ids_apart() -> None:
    """Queries of one ID that ask something else are other queries: name, type, each counts."""
    queries = PendingQueries()
    asked = [query(1, "a.example"), query(1, "b.example"), query(1, "a.example", "AAAA")]
    for time, wire in enumerate(asked):
        queries.add(wire, time)

    assert [queries.time_of(response(wire)) for wire in asked[::-1]] == [2, 1, 0]


def test_case_of_the_name_does_not_matter() -> None:
    """A server that answers in lower case answers all the same; types are not letters."""
    queries = PendingQueries()
    queries.add(query(1, "WwW.eXample.ORG", "TYPE65"), 10)
    queries.add(query(1, "www.example.org", "TYPE97"), 20)

    assert queries.time_of(response(query(1, "www.example.org", "TYPE65"))) == 10
    assert queries.time_of(response(query(1, "WWW.example.org", "TYPE97"))) == 20


def test_response_without_question_goes_by_id() -> None:
    """An error's response may have no question: the latest query of its ID is meant."""
    queries = PendingQueries()
    for time, wire in enumerate([query(1, "a.example"), query(1, "b.example"), query(2)]):
        queries.add(wire, time)

    assert queries.time_of(b"\0\1\x80\1" + bytes(8)) == 1
    assert queries.time_of(b"\0\3\x80\1" + bytes(8)) is None


def test_several_responses_share_their_query() -> None:
    """A zone transfer answers one query by many messages."""
    queries = PendingQueries()
    queries.add(query(1), 10)

    assert [queries.time_of(response(query(1))) for _ in range(3)] == [10, 10, 10]


def test_repeated_query_before_its_answer() -> None:
    """A query that was sent twice is answered twice, in order."""
    queries = PendingQueries()
    for time in 10, 20:
        queries.add(query(1), time)

    assert [queries.time_of(response(query(1))) for _ in range(2)] == [10, 20]


def test_repeated_query_after_its_answer() -> None:
    """A client that uses an ID again gets the new time, even if one was answered in between."""
    queries = PendingQueries()
    queries.add(query(1), 10)
    assert queries.time_of(response(query(1))) == 10
    queries.add(query(1), 20)
    queries.add(query(1), 30)

    assert [queries.time_of(response(query(1))) for _ in range(2)] == [20, 30]


def test_memory_is_bounded() -> None:
    """However many queries come, and however often, the oldest are forgotten."""
    queries = PendingQueries()
    for number in range(2 * pending.MAX_QUERIES):
        queries.add(query(number), number)
    for time in range(2 * pending.MAX_REPEATS):
        queries.add(query(2 * pending.MAX_QUERIES), time)

    held = queries._queries
    assert len(held) == pending.MAX_QUERIES
    assert max(len(each.times) for each in held.values()) == pending.MAX_REPEATS
    assert queries.time_of(response(query(0))) is None
    last = 2 * pending.MAX_QUERIES - 1
    assert queries.time_of(response(query(last))) == last


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_raises_nothing(asked: bytes, answered: bytes) -> None:
    """Queries come from the network; whatever they are, the time is theirs or unknown."""
    queries = PendingQueries()
    queries.add(asked, 7)

    assert queries.time_of(asked) == 7
    assert queries.time_of(answered) in (7, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30))
def test_pairs_as_a_simple_model_does(steps: List[Tuple[bool, int]]) -> None:
    """In any order of asking and answering, as if each query had a queue of its own."""
    queries = PendingQueries()
    model: Dict[int, List[int]] = {number: [] for number in range(4)}
    for time, (is_query, number) in enumerate(steps):
        if is_query:
            queries.add(query(number), time)
            model[number].append(time)
        elif model[number]:
            assert queries.time_of(response(query(number))) == model[number].pop(0)


@pytest.mark.parametrize("wire", [b"", b"\0", b"\0\1"])
def test_shorter_than_a_header(wire: bytes) -> None:
    """Even without a whole ID, a query is remembered as what it is."""
    queries = PendingQueries()
    queries.add(wire, 7)

    assert queries.time_of(wire) == 7
