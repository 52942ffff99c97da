"""The benchmarks run, and measure what they say: each of them once, at a size that says nothing.

Nothing here is about speed, which a machine that runs tests cannot tell.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Callable, List

import pytest

from dnstap_logging import DnstapMessage, DnstapReader
from tests.benchmarks import gathering, kafka
from tests.benchmarks.__main__ import BENCHMARKS, SCALES, main
from tests.benchmarks.contenders import CONTENDERS, QUERIES, logger_with
from tests.benchmarks.figures import AT_LEAST, FULL, TINY, Figure, Quantities, alternate
from tests.benchmarks.results import Results, as_markdown, as_text, load, save
from tests.benchmarks.throughput import check, make_parts
from tests.benchmarks.traffic import SERVER
from tests.helpers.support import require_program
from tests.situations.interop.collectors import FstrmCapture

FIGURES = {
    "cost": 7,
    "kinds": 4,
    "steps": 0,
    "throughput": 3,
    "spool": 4,
    "server": 8,
    "memory": 3,
    "threads": 3,
    "reading": 2,
    "commands": 3,
}
"""How many lines of the table each benchmark has."""


LONG = {"memory": pytest.mark.slow}


@pytest.mark.parametrize("name", [pytest.param(e, marks=LONG.get(e, ())) for e in BENCHMARKS])
def test_every_benchmark_runs(name: str) -> None:
    """Each measures all its contenders, and has a figure above zero for each line of the table."""
    for program in BENCHMARKS[name].programs:
        require_program(program)

    section = BENCHMARKS[name].measure(TINY)

    assert len(section.figures) == FIGURES[name]
    for figure in section.figures:
        assert math.isfinite(figure.measured), figure
        assert figure.measured > 0, figure
    assert all(section.details.values()), section.details


def messages_of(name: str, folder: Path, count: int) -> List[DnstapMessage]:
    """Let a contender log that many queries to a file; return what is in it, without the times."""
    contender = CONTENDERS[name]
    with logger_with(contender.make_handler(folder)) as logger:
        contender.log(logger, count)
    with DnstapReader(folder / "capture.fstrm") as reader:
        messages = [message._replace(query_time=None) for message in reader]
        assert reader.complete
    return messages


@pytest.mark.parametrize("name", ["info", "adapter"])
def test_the_parts_write_the_same_frames(name: str, tmp_path: Path) -> None:
    """The yardstick sends all that ours sends of each query, so neither has less to do."""
    folders = [tmp_path / each for each in ("ours", "theirs")]
    for folder in folders:
        folder.mkdir()
    ours, theirs = (messages_of(each, path, 300) for each, path in zip((name, "parts"), folders))

    assert ours == theirs
    assert len(ours) == 300


def test_the_queries_are_different() -> None:
    """The queries differ, so that caches help no more than in a server."""
    assert len({query.wire for query in QUERIES}) == len(QUERIES)
    assert len({query.client for query in QUERIES}) > 0.99 * len(QUERIES)
    assert all(query.client[0] != SERVER[0] for query in QUERIES)


def test_the_text_has_all_of_a_query(tmp_path: Path) -> None:
    """The yardstick "text" writes a line for each query, with the same data."""
    contender = CONTENDERS["text"]
    with logger_with(contender.make_handler(tmp_path)) as logger:
        contender.log(logger, 5)
    lines = (tmp_path / "text.log").read_text().splitlines()

    for line, query in zip(lines, QUERIES):
        assert all(repr(part) in line for part in (query.wire, query.client, SERVER)), line
    assert len(lines) == 5


@pytest.mark.parametrize("buffered", [False, True])
def test_the_parts_on_a_socket_lose_nothing(buffered: bool, tmp_path: Path) -> None:
    """The yardstick's stream is a valid one for fstrm_capture, with and without a buffer."""
    socket, capture = tmp_path / "dnstap.sock", tmp_path / "capture.fstrm"
    with FstrmCapture(f"unix://{socket}", capture) as collector:
        with logger_with(make_parts(socket, buffered)) as logger:
            CONTENDERS["parts"].log(logger, 200)
        collector.stop()

    check(capture, 200)
    with pytest.raises(RuntimeError, match="200 frames in the capture, where 201 were logged"):
        check(capture, 201)


def test_rounds_alternate() -> None:
    """Contenders take turns, and the median of their rounds counts."""
    order: List[str] = []

    def contender(name: str, costs: List[float]) -> Callable[[], Quantities]:
        def measure() -> Quantities:
            order.append(name)
            return {"cpu": costs.pop()}

        return measure

    ways = {"a": contender("a", [9, 1, 2]), "b": contender("b", [3, 3, 90])}

    assert alternate(ways, 3) == {"a": {"cpu": 2}, "b": {"cpu": 3}}
    assert order == ["a", "b"] * 3


def test_the_verdict_compares_with_the_goal() -> None:
    """A figure is met at its goal and on the good side of it, and orientation has no verdict."""
    verdicts = [
        Figure("", measured, "x", 2, *bound).verdict
        for bound in ([], [AT_LEAST])
        for measured in (1.9, 2, 2.1)
    ]

    assert verdicts == ["met", "met", "not met", "not met", "met", "met"]
    assert Figure("", 1).verdict == ""


def test_the_full_size_has_ten_million_messages() -> None:
    """`--full` goes as far as the goals do; the usual size is above 10 thousand, too."""
    assert max(FULL.counts) == 10_000_000
    assert {max(scale.threads) for scale in (SCALES["usual"], FULL)} == {16}
    assert min(SCALES["usual"].counts) == 10_000


def test_main_prints_the_table_and_writes_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has measured figures next to their goals, the machine and the versions."""
    path = tmp_path / "results.json"
    main(["--tiny", "--json", str(path), "reading"])
    printed = capsys.readouterr().out
    results = load(path)

    assert printed.splitlines()[0].startswith("machine: ")
    assert "reading a capture: rate / dnstap-pb + fstrm" in printed
    assert "at least 1.5 x" in printed
    assert results.command == 'make bench ARGS="reading --tiny"'
    assert {"machine", "Python", "protobuf", "date"} <= set(results.machine)
    page = as_markdown(results)["figures"]
    for figure in results.figures:
        assert f"{figure.measured:.2f} {figure.unit}" in printed
        assert f"| {figure.name} | {figure.measured:.2f} {figure.unit} |" in page
    save(results, path)
    assert load(path) == results
    assert as_text(Results(*results)) == as_text(load(path))


def test_main_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelled name ends it at once, and the right ones are named."""
    with pytest.raises(SystemExit):
        main(["--tiny", "cots"])

    assert "cots: there is only cost, kinds" in capsys.readouterr().err


@pytest.mark.slow
def test_gathering_is_measured_with_the_constants_that_it_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each way is a line of the table, with the figures of a server that lost nothing."""
    for program in ("dnsperf", "fstrm_capture"):
        require_program(program)
    options = "--rounds 1 --seconds 1 --rate 100 --gather 5 20 --slices 0 8 --pause 50"
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    try:
        gathering.main([*options.split(), f"--server-cpu={cpus[0]}", f"--load-cpu={cpus[-1]}"])
    finally:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)

    lines = capsys.readouterr().out.splitlines()
    assert [line[:44].strip() for line in lines[1:]] == [
        "without logging",
        *("gather 5 ms", "gather 5 ms, slices of 8, pause 50 us"),
        *("gather 20 ms", "gather 20 ms, slices of 8, pause 50 us"),
    ]
    assert lines[1].count("(1.000)") == 3


def test_kafka_is_measured_by_round_trip_and_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each batch, a column for each round trip; each record is acknowledged."""
    kafka.main(["--records", "300", "--round-trips", "0", "2", "--batches", "100", "200"])
    heads, *rows = capsys.readouterr().out.splitlines()
    assert heads.split() == ["records", "a", "second", "0", "ms", "2", "ms"]
    assert [row.split()[:3] for row in rows] == [["batch", "of", "100"], ["batch", "of", "200"]]
    assert all(int(each.replace(",", "")) > 0 for row in rows for each in row.split()[3:])
