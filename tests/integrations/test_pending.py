"""Which response belongs to which query, as a request handler remembers them."""

from __future__ import annotations

import sys
import threading
from typing import Any, Dict, List, Tuple

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.integrations import pending
from dnstap_logging.integrations.pending import remember, time_of


def query(number: int, name: str = "example.org", kind: str = "A") -> bytes:
    """Return a query with an ID of ours."""
    return dns.message.make_query(name, kind, id=number).to_wire()


def response(wire: bytes) -> bytes:
    """Return the response to a query."""
    return dns.message.make_response(dns.message.from_wire(wire)).to_wire()


class Handler:
    """What remembers queries in its attributes."""

    def __init__(self) -> None:
        self.attributes: Dict[str, Any] = {}

    def add(self, wire: bytes, time: object) -> None:
        """Remember a query and its time."""
        remember(self.attributes, wire, time)

    def time_of(self, wire: bytes) -> Any:
        """Return the time of a response's query."""
        return time_of(self.attributes, wire)


def test_question_tells_equal_ids_apart() -> None:
    """Queries of one ID that ask something else are other queries: name, type, each counts."""
    queries = Handler()
    asked = [query(1, "a.example"), query(1, "b.example"), query(1, "a.example", "AAAA")]
    for time, wire in enumerate(asked):
        queries.add(wire, time)

    assert [queries.time_of(response(wire)) for wire in asked[::-1]] == [2, 1, 0]


def test_case_of_the_name_does_not_matter() -> None:
    """A response in lower case still belongs to its query; types have no case."""
    queries = Handler()
    queries.add(query(1, "WwW.eXample.ORG", "TYPE65"), 10)
    queries.add(query(1, "www.example.org", "TYPE97"), 20)

    assert queries.time_of(response(query(1, "www.example.org", "TYPE65"))) == 10
    assert queries.time_of(response(query(1, "WWW.example.org", "TYPE97"))) == 20


def test_response_without_question_goes_by_id() -> None:
    """An error's response may have no question: the latest query of its ID is meant."""
    queries = Handler()
    for time, wire in enumerate([query(1, "a.example"), query(1, "b.example"), query(2)]):
        queries.add(wire, time)

    assert queries.time_of(b"\0\1\x80\1" + bytes(8)) == 1
    assert queries.time_of(b"\0\3\x80\1" + bytes(8)) is None


def test_several_responses_share_their_query() -> None:
    """A zone transfer answers one query by many messages."""
    queries = Handler()
    queries.add(query(1), 10)

    assert [queries.time_of(response(query(1))) for _ in range(3)] == [10, 10, 10]


def test_repeated_query_before_its_answer() -> None:
    """A query that was sent twice is answered twice, in order."""
    queries = Handler()
    for time in 10, 20:
        queries.add(query(1), time)

    assert [queries.time_of(response(query(1))) for _ in range(2)] == [10, 20]


def test_repeated_query_after_its_answer() -> None:
    """A client that uses an ID again gets the new time, even if one was answered in between."""
    queries = Handler()
    queries.add(query(1), 10)
    assert queries.time_of(response(query(1))) == 10
    queries.add(query(1), 20)
    queries.add(query(1), 30)

    assert [queries.time_of(response(query(1))) for _ in range(2)] == [20, 30]


def test_threads_that_come_at_once_lose_no_query() -> None:
    """Several threads may begin on one connection: each response finds the time of its query."""
    wires = [query(number) for number in range(8)]
    for _ in range(50):
        queries, together = Handler(), threading.Barrier(len(wires))

        def ask(number: int, queries: Handler = queries, together: Any = together) -> None:
            together.wait(30)
            queries.add(wires[number], number)
            assert queries.time_of(response(wires[number])) == number

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(wires))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [queries.time_of(response(wire)) for wire in wires] == list(range(len(wires)))


def test_a_response_at_any_moment_of_a_repeated_query() -> None:
    """A thread that has seen only the first query finds a time while another adds to its times."""
    queries = Handler()
    queries.add(query(1), 10)
    assert queries.time_of(response(query(1))) == 10
    seen_before = dict(queries.attributes)
    found = []

    def at_each_line(frame: Any, event: str, argument: object) -> Any:
        """Do what another thread would do if it ran here."""
        if frame.f_code is pending.PendingQueries.add.__code__:
            found.append(time_of(seen_before, response(query(1))))
            return at_each_line
        return None

    tracing = sys.gettrace()
    sys.settrace(at_each_line)
    try:
        queries.add(query(1), 20)
    finally:
        sys.settrace(tracing)

    assert (found[0], found[-1]) == (10, 20)
    assert set(found) == {10, 20}


def test_one_query_is_never_read() -> None:
    """Where no other comes, as on UDP, the ID is enough, and nothing else is looked at."""
    queries = Handler()
    queries.add(query(1, "a.example"), 10)

    assert queries.time_of(response(query(1, "b.example"))) == 10
    assert queries.time_of(response(query(2, "a.example"))) is None
    assert pending.ALL not in queries.attributes


def test_memory_is_bounded() -> None:
    """However many queries come, and however often, the oldest are forgotten."""
    queries = Handler()
    for number in range(2 * pending.MAX_QUERIES):
        queries.add(query(number), number)
    for time in range(2 * pending.MAX_REPEATS):
        queries.add(query(2 * pending.MAX_QUERIES), time)

    held = queries.attributes[pending.ALL]._queries
    assert len(held) == pending.MAX_QUERIES
    assert max(len(times) - 1 for times in held.values()) == pending.MAX_REPEATS
    assert queries.time_of(response(query(0))) is None
    last = 2 * pending.MAX_QUERIES - 1
    assert queries.time_of(response(query(last))) == last


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_raises_nothing(asked: bytes, answered: bytes) -> None:
    """Queries come from the network; whatever they are, the time is theirs or unknown."""
    queries = Handler()
    queries.add(asked, 7)

    assert queries.time_of(asked) == 7
    assert queries.time_of(answered) in (7, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30))
def test_pairs_as_a_simple_model_does(steps: List[Tuple[bool, int]]) -> None:
    """In any order of asking and answering, as if each query had a queue of its own."""
    queries = Handler()
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
    queries = Handler()
    queries.add(wire, 7)

    assert queries.time_of(wire) == 7
