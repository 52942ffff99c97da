"""Queries and their responses: each query is in one book, and the table stays within its bounds."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.pairs import MAX_CANDIDATES, Exchange, PairCounts, Pairs

CLIENT, SERVER = b"\xc0\0\2\1", b"\xc0\0\2\x35"


def exchange(name: str, **changes: Any) -> Exchange:
    """Return an exchange of this name, which alone tells it from others."""
    return Exchange(3, b"\0\7", name.encode(), CLIENT, 4000, SERVER, 53)._replace(**changes)


A, B, C = map(exchange, "abc")


def test_a_response_finds_the_time_of_its_query() -> None:
    """The query's time comes back once; a second response of the kind was not asked for."""
    pairs = Pairs(10, 100)
    pairs.query(A, 5)
    pairs.query(B, 6)

    assert [pairs.response(A, 7), pairs.response(A, 8), pairs.response(C, 9)] == [
        5,
        None,
        None,
    ]
    assert pairs.counts() == PairCounts(1, 0, 1, 0, 0, 2)


def test_a_query_is_given_up_after_its_time() -> None:
    """Exactly at the end of the patience a response is in time; a moment later it is not."""
    pairs = Pairs(10, 100)
    pairs.query(A, 0)
    pairs.query(B, 0)

    assert pairs.response(A, 100) == 0
    assert pairs.response(B, 101) is None
    assert pairs.counts() == PairCounts(1, 1, 0, 0, 0, 1)


def test_a_full_table_forgets_its_oldest_query() -> None:
    """With room for two, the third takes the place of the first, which is counted."""
    pairs = Pairs(2, 100)
    for number, key in enumerate((A, B, C)):
        pairs.query(key, number)

    assert [pairs.response(key, 3) for key in (A, B, C)] == [None, 1, 2]
    assert pairs.counts() == PairCounts(2, 0, 0, 0, 1, 1)


def test_a_repeated_query_waits_once() -> None:
    """A client's second try with the same id is a repetition; the latency is from the first on."""
    pairs = Pairs(10, 100)
    pairs.query(A, 1)
    pairs.query(A, 50)

    assert pairs.response(A, 60) == 1
    assert pairs.counts() == PairCounts(1, 0, 0, 1, 0, 0)


def test_one_clock_that_is_ahead_is_no_end() -> None:
    """A message from the future gives up what waits then, and nothing that comes later."""
    pairs = Pairs(10, 100)
    pairs.query(A, 1)
    pairs.query(C, 10**9)
    pairs.query(B, 2)

    assert pairs.response(B, 3) == 2
    assert pairs.counts().unanswered == 1


FALLBACKS: Dict[str, Dict[str, Any]] = {
    "without a question": {"question": b""},
    "with another port": {"client_port": 4001},
    "without ports": {"client_port": None, "server_port": None},
    "without the client": {"client": None},
    "without the server": {"server": None},
    "without all of them": dict.fromkeys(Exchange._fields[3:], None),
}


@pytest.mark.parametrize("missing", FALLBACKS.values(), ids=FALLBACKS)
def test_a_response_that_says_less_finds_its_query(missing: Dict[str, Any]) -> None:
    """Role and id are enough, where nothing else contradicts; the latency is measured."""
    pairs = Pairs(10, 100)
    pairs.query(A, 5)
    pairs.query(exchange("a", message_id=b"\0\x08"), 6)

    assert pairs.response(A._replace(**missing), 7) == 5
    assert pairs.counts() == PairCounts(1, 0, 1, 0, 0, 0)


CONTRADICTIONS: Dict[str, Dict[str, Any]] = {
    "another role": {"role": 1},
    "another id": {"message_id": b"\0\x08"},
    "no id": {"message_id": b""},
    "another question": {"question": b"b"},
    "another client": {"client": SERVER},
    "another server": {"server": CLIENT},
    "another port of the server": {"server_port": 5353},
}


@pytest.mark.parametrize("changes", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_response_that_says_otherwise_finds_nothing(changes: Dict[str, Any]) -> None:
    """What contradicts the query belongs to another one, however alike the rest is."""
    pairs = Pairs(10, 100)
    pairs.query(A, 5)

    assert pairs.response(A._replace(client_port=4001, **changes), 7) is None
    assert pairs.counts() == PairCounts(0, 0, 1, 0, 0, 1)


@pytest.mark.parametrize("alike", FALLBACKS.values(), ids=FALLBACKS)
@pytest.mark.parametrize("own", [1, 2, 3])
def test_of_several_queries_the_time_tells_which(own: int, alike: Dict[str, Any]) -> None:
    """A response that carries the time of its query finds that one, whichever it is."""
    pairs = Pairs(10, 100)
    for number in (1, 2, 3):
        pairs.query(exchange("a", client_port=number), number)

    assert pairs.response(A._replace(**alike), 9, own) == own


def test_of_several_queries_the_one_asked_next_to_that_time() -> None:
    """An emitter that rounds its times still says which query it means."""
    pairs = Pairs(10, 10_000)
    for number in (1000, 2000, 3000):
        pairs.query(exchange("a", client_port=number), number)

    assert pairs.response(A, 9000, 2001) == 2000


def test_of_several_queries_the_name_and_the_port_tell_which() -> None:
    """A question is never answered by another one's response; without one, the port decides."""
    pairs = Pairs(10, 100)
    pairs.query(exchange("a", client_port=1), 1)
    pairs.query(exchange("b", client_port=2), 2)
    pairs.query(exchange("c", client_port=3), 3)

    assert pairs.response(exchange("c", client_port=9), 9) == 3
    assert pairs.response(exchange("", client_port=2), 9) == 2
    assert pairs.response(exchange("", client_port=2), 9) == 1, "the only one that is left"


def test_a_query_asked_later_is_not_answered() -> None:
    """Nothing is answered before it is asked, where the response is not certainly its own."""
    pairs = Pairs(10, 100)
    pairs.query(A, 9)

    assert pairs.response(A._replace(client_port=4001), 8) is None
    assert pairs.counts().waiting == 1


def test_where_nothing_tells_which_one_is_answered_and_nothing_measured() -> None:
    """One query less waits; a latency would be a guess."""
    pairs = Pairs(10, 100)
    pairs.query(exchange("a", client_port=1), 1)
    pairs.query(exchange("b", client_port=2), 2)

    assert pairs.response(exchange("", client_port=9), 9) is None
    assert pairs.counts() == PairCounts(1, 0, 1, 0, 0, 0)
    assert pairs.response(exchange("b", client_port=2), 9) == 2, "the first one counted"


def test_one_id_for_all_takes_no_time() -> None:
    """Of 20,000 queries with the id 0, as DNS over HTTPS has it, responses on other ports find
    theirs by their question, and those without one look at a few only.
    """
    looked: List[int] = []

    class Port(int):
        def __eq__(self, other: object) -> bool:
            looked.append(1)
            return int(self) == other

        __hash__ = int.__hash__

    pairs = Pairs(20_000, 100)
    for number in range(20_000):
        pairs.query(exchange(f"{number}", message_id=b"\0\0", client_port=number), 1)

    for number in range(0, 20_000, 100):
        response = exchange(f"{number}", message_id=b"\0\0", client_port=Port(70_000))
        assert pairs.response(response, 2) == 1
    one_each = len(looked)
    assert one_each <= 2 * 200
    pairs.response(exchange("", message_id=b"\0\0", client_port=Port(70_000)), 2)
    assert len(looked) - one_each <= 2 * MAX_CANDIDATES
    assert pairs.counts().answered == 201


SAID = st.sampled_from(({}, *FALLBACKS.values()))
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 9), SAID))


@given(STEPS, st.integers(1, 3))
def test_every_query_is_in_one_book(
    steps: List[Tuple[bool, int, int, Dict[str, Any]]], capacity: int
) -> None:
    """Whatever comes, in whatever order: the books add up to the queries and to the responses."""
    pairs, now = Pairs(capacity, 10), 0
    for is_query, key, later, said in steps:
        now += later
        if is_query:
            pairs.query(exchange(str(key), **said), now)
        else:
            pairs.response(exchange(str(key), **said), now)

    counts = pairs.counts()
    assert sum(counts[:5]) == sum(step[0] for step in steps)
    assert counts.answered + counts.unasked == sum(not step[0] for step in steps)
    assert counts.waiting <= capacity


def test_queries_that_nobody_answers_take_no_more_time_as_they_go() -> None:
    """To give up those that waited longest costs the same for each, however many went before."""

    def seconds(queries: range, pairs: Pairs) -> float:
        started = time.process_time()
        for number in queries:
            pairs.query(exchange(str(number)), number)
        return time.process_time() - started

    def many_and_few() -> bool:
        pairs = Pairs(50_000, 20_000)
        few = seconds(range(20_000), pairs)
        return seconds(range(20_000, 80_000), pairs) < 10 * few

    assert any(many_and_few() for _ in range(3)), "three times as many took over ten times as long"
