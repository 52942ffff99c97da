"""``check --sequence``: what is missing, and what came twice, over all captures."""

from __future__ import annotations

import itertools
import json
import random
import struct
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Set, Tuple

import pytest

from dnstap_logging import DnstapMessage
from dnstap_logging.cli import sequences
from dnstap_logging.cli.sequences import NumberSet
from tests.cli.programs import REPOSITORY
from tests.cli.running import call
from tests.cli.samples import query, write
from tests.cli.test_large import peak_memory
from tests.helpers.support import CONTENT_TYPE, START, STOP, capture, control, data

PAGE = (REPOSITORY / "docs" / "command-line.md").read_text(encoding="utf-8")
ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


def message(number: int, run: str = ONE, dropped: int = 0, **fields: Any) -> DnstapMessage:
    """Return a message with a number, as a handler sends it."""
    return query(extra=f"seq={run}/{number}/{dropped}", identity="ns1", **fields)


def messages(numbers: Iterable[int], run: str = ONE, dropped: int = 0) -> List[DnstapMessage]:
    """Return several."""
    return [message(number, run, dropped) for number in numbers]


def report(*arguments: Any) -> Tuple[int, Dict[str, Dict[str, Any]]]:
    """Return the status, and what the JSON form says of each run."""
    outcome = call("check", "--sequence", "--json", *arguments)
    runs = [json.loads(line) for line in outcome.out.splitlines()]
    return outcome.status, {each.pop("run"): each for each in runs}


def test_text(tmp_path: Path) -> None:
    """Two runs in two captures: what is missing from 1 on, what came twice, what was dropped."""
    one = write(tmp_path / "1", [*messages([2, 3, 3, 7]), query(), *messages([1, 2], OTHER, 4)])
    other = write(tmp_path / "2", [*messages([3], OTHER, 9), message(2), message(10)])

    assert call("check", "--sequence", one, other) == (
        1,
        f"run {ONE}\n"
        "  identities  ns1\n"
        "  first       2\n"
        "  last        10\n"
        "  count       4\n"
        "  missing     6: 1, 4-6, 8-9\n"
        "  twice       2\n"
        "  dropped     0\n"
        f"run {OTHER}\n"
        "  identities  ns1\n"
        "  first       1\n"
        "  last        3\n"
        "  count       3\n"
        "  missing     0\n"
        "  twice       0\n"
        "  dropped     9\n"
        "2 runs, 6 missing, 1 message without a number\n",
        "",
    )


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """docs/command-line.md shows what the command prints for such a run, in as many captures."""
    section = PAGE.partition("\n### `check --sequence`\n")[2].partition("\n## ")[0]
    example = section.split("\n```\n")[2] + "\n"
    run = example.split()[1]
    numbers = [number for number in range(1, 12001) if number not in (17, 2001, 2002)]
    given = [
        query(extra=f"seq={run}/{number}/0", identity="ns1.example")
        for number in [*numbers[:5000], *numbers[4960:]]
    ]
    one, other = write(tmp_path / "1", given[:7000]), write(tmp_path / "2", given[7000:])

    assert call("check", "--sequence", one, other) == (1, example, "")


def test_nothing_missing(tmp_path: Path) -> None:
    """Status 0 if no number is missing, whatever came twice or was dropped."""
    path = write(tmp_path / "1", messages([*range(1, 100), *range(50, 120)], dropped=3))

    assert report(path) == (
        0,
        {
            ONE: {
                "identities": ["ns1"],
                "first": 1,
                "last": 119,
                "count": 119,
                "missing": 0,
                "twice": 50,
                "dropped": 3,
                "gaps": [],
            }
        },
    )


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    """Captures are read as one: every order of them gives the same."""
    parts: Sequence[Iterable[int]] = ([5, 6, 9], [1, 2, 5], [4, 3, 12], [7])
    paths = [write(tmp_path / str(at), messages(part)) for at, part in enumerate(parts)]
    found = [report(*order) for order in itertools.permutations(paths)]

    assert all(each == found[0] for each in found)
    assert found[0][0] == 1
    run = found[0][1][ONE]
    assert (run["count"], run["missing"], run["twice"]) == (9, 3, 1)
    assert run["gaps"] == [[8, 8], [10, 11]]


def test_without_numbers(tmp_path: Path) -> None:
    """Messages of other programs have no run: nothing is missing."""
    path = write(tmp_path / "1", [query(), query(extra="note"), query(extra=f"seq={ONE}/0/0")])

    outcome = call("check", "--sequence", path)
    assert outcome == (0, "0 runs, 0 missing, 3 messages without a number\n", "")
    assert report(path) == (0, {})


def test_identities(tmp_path: Path) -> None:
    """All identities of a run are named, some of them if there are many; none can do harm."""
    hostile = [b"\x1b[31m", b"x" * 60000, b"a\nb"]
    given = [*hostile, b"", None, *(b"%d" % number for number in range(100))]
    path = write(
        tmp_path / "1",
        [
            query(extra=f"seq={ONE}/{number}/0", identity=identity)
            for number, identity in enumerate(given, 1)
        ],
    )
    outcome = call("check", "--sequence", path)

    assert outcome.status == 0
    (line,) = (each for each in outcome.out.splitlines() if "identities" in each)
    assert line.startswith("  identities  \\x1b[31m, xxx")
    assert "a\\nb" in line
    assert len(line) < 1000


def test_a_capture_without_stop_is_read_whole(tmp_path: Path) -> None:
    """Its writer may be at work: that is said, and the status is that of the numbers."""
    path = write(tmp_path / "1", messages(range(1, 10)), stop=False)
    outcome = call("check", "--sequence", path)

    assert outcome.status == 0
    assert "no STOP there" in outcome.err
    write(path, messages(range(2, 10)), stop=False)
    assert report(path)[0] == 1


def test_damage(tmp_path: Path) -> None:
    """Whatever cannot be read makes the status 1 or 2; the other captures are read."""
    good = write(tmp_path / "good", messages(range(1, 10)))
    torn = tmp_path / "torn"
    torn.write_bytes(good.read_bytes()[:-30])
    foreign = tmp_path / "foreign"
    foreign.write_bytes(capture([b"\xff\xff"]))

    for bad, status in ((torn, 1), (foreign, 1), (tmp_path / "none", 2)):
        outcome = call("check", "--sequence", bad, good)
        assert outcome.status == status
        assert str(bad) in outcome.err
        assert "missing     0" in outcome.out
    assert call("check", "--sequence", good, "--repair", tmp_path / "out").status == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(20))
def test_a_set_of_numbers_is_a_set(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order and the doubles, it answers as a set does."""
    monkeypatch.setattr(sequences, "MOST_IN_PART", seed % 4 * 3 + 1)
    chance = random.Random(seed)
    most = chance.choice([10, 100, 2**64 - 2])
    centres = [chance.randint(1, most) for _ in range(5)]
    plain: Set[int] = set()
    ours = NumberSet()
    for _ in range(500):
        number = max(1, min(most, chance.choice(centres) + chance.randint(-30, 30)))
        assert ours.add(number) is (number not in plain)
        plain.add(number)
        assert (ours.first, ours.last) == (min(plain), max(plain))
    gaps = list(ours.gaps())
    assert sum(high - low + 1 for low, high in gaps) == max(plain) - len(plain)
    assert all(low <= high for low, high in gaps)
    assert not any(low <= number <= high for number in plain for low, high in gaps)


def test_the_order_costs_little() -> None:
    """However many gaps there are, a new number moves few intervals, in the worst order too."""
    ours = NumberSet()
    for number in range(50_000, 0, -1):
        assert ours.add(2 * number)
    assert max(len(part.starts) for part in ours._parts) <= sequences.MOST_IN_PART
    assert len(ours._parts) <= 2 * 50_000 // sequences.MOST_IN_PART + 1
    for number in range(1, 50_000):
        assert ours.add(2 * number + 1)
    assert list(ours.gaps()) == [(1, 1)]
    assert (ours.first, ours.last) == (2, 100_000)


def many(path: Path, count: int) -> Path:
    """Write that many messages of two runs, without what a handler would add."""

    def frames() -> Iterator[bytes]:
        for number in range(1, count // 2 + 1):
            for run in (ONE, OTHER):
                extra = f"seq={run}/{number}/0".encode()
                message = b"\x72\x02\x08\x05\x78\x01"  # a CLIENT_QUERY, and nothing else of it
                yield data(b"\x1a" + struct.pack("B", len(extra)) + extra + message)

    with path.open("wb") as file:
        file.write(control(START, CONTENT_TYPE))
        file.writelines(frames())
        file.write(control(STOP))
    return path


def test_memory_follows_runs_and_gaps(tmp_path: Path) -> None:
    """A hundred times as many messages take the same memory."""
    few = peak_memory("check", "--sequence", str(many(tmp_path / "few", 2_000)))
    more = peak_memory("check", "--sequence", str(many(tmp_path / "more", 200_000)))

    assert more - few < 4096, f"{few} KiB, and {more} KiB for a hundred times as many"
