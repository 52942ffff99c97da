"""Compare what the program says of its records with what arrived."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Set, Tuple

from tests.situations.chaos.plan import Plan
from tests.situations.chaos.streams import Arrival, Stream
from tests.situations.chaos.tables import FAULTS, FILES, KAFKA, SOCKETS

__all__ = ["Outcome", "check"]

MOST_MEMORY = 300 * 1024 * 1024
"""Bytes that a process may have: its modules, and a queue that is far smaller."""

Writer = Tuple[str, int]
"""The process and the number of its handler."""


class Outcome(NamedTuple):
    """The result of a scenario.

    Attributes:
        failures: what was expected, and what was seen instead.
        totals: the counters of all handlers together, and ``arrived`` and ``twice``.
        longest: seconds of the longest calls.
    """

    failures: List[str]
    totals: Counter[str]
    longest: Dict[str, float]


def check(plan: Plan, reports: List[Dict[str, Any]], streams: List[Stream]) -> Outcome:
    """Check a scenario.

    Args:
        plan: of it.
        reports: what each process said.
        streams: what arrived, in order.
    """
    failures = [f"{each.name}: {problem}" for each in streams for problem in each.problems]
    totals: Counter[str] = Counter()
    longest: Dict[str, float] = {}
    by_writer: Dict[Writer, List[Stream]] = {}
    for stream in streams:
        for writer in stream.writers:
            by_writer.setdefault(writer, []).append(stream)
        if plan.destination in SOCKETS and len(stream.writers) > 1 and not _stores(plan):
            failures.append(f"more than one writer in a session: {stream.about()}")
    for report in reports:
        failures += [f"process {report['process']}: {each}" for each in report["violations"]]
        if report["most_memory"] > MOST_MEMORY:
            failures.append(f"process {report['process']}: {report['most_memory']} bytes of memory")
        for what, seconds in report["longest"].items():
            longest[what] = max(seconds, longest.get(what, 0.0))
        for books in report["books"]:
            writer = report["process"], books["number"]
            arrived = _Arrived(writer, by_writer.pop(writer, []))
            found = [f"{writer}: {each}" for each in _check_books(plan, books, arrived)]
            failures += found
            if found:
                failures.append(_about(books, arrived))
            _add(totals, books, arrived)
    if plan.destination not in FILES and not failures:
        failures += _check_all(plan, reports, streams)
    failures += [f"records of {writer}, whom nobody knows" for writer in by_writer]
    if plan.destination in FILES:
        failures += _check_ends(plan, reports, streams)
    return Outcome(failures, totals, longest)


def _add(totals: Counter[str], books: Dict[str, Any], arrived: _Arrived) -> None:
    totals["handlers"] += 1
    for name, value in books["stats"].items():
        if isinstance(value, int) and not isinstance(value, bool):
            totals[name] += value
    for cause, number in books["stats"]["dropped"].items():
        totals[f"dropped {cause}"] += number
    totals["arrived"] += len(arrived.distinct)
    totals["twice"] += arrived.twice


class _Arrived:
    """What arrived of one handler."""

    def __init__(self, writer: Writer, streams: List[Stream]) -> None:
        self.streams = streams
        self.parts: List[List[Arrival]] = [
            [each for each in stream.arrivals if each.mark[:2] == writer] for stream in streams
        ]
        counts = Counter(each.mark[2:] for part in self.parts for each in part)
        self.distinct: Dict[Tuple[str, int], int] = dict(counts)
        self.twice = sum(counts.values()) - len(counts)
        sizes = {each.mark[2:]: each.size for part in self.parts for each in part}
        self.size = sum(sizes.values())
        self.confirmable = sum(len(s.arrivals) for s in streams if "finish" in s.said)


def _check_books(plan: Plan, books: Dict[str, Any], arrived: _Arrived) -> Iterator[str]:
    stats = books["stats"]
    attempts = books["attempts"]
    threads = {name: number for name, number in attempts.items() if " " not in name}
    logged, written = stats["logged"], stats["written"]
    if books["closed"] and logged != sum(threads.values()):
        yield f"{sum(threads.values())} log calls, but logged {logged}"
    invented = [m for m in arrived.distinct if m[1] >= threads.get(m[0], 0)]
    if invented:
        yield f"arrived, but never logged: {invented[:5]}"
    for cause in ("invalid", "too_large"):
        most = sum(number for name, number in attempts.items() if name.startswith(f"{cause} "))
        if stats["dropped"][cause] > most:
            yield f"{most} records were {cause}, not {stats['dropped'][cause]}"
    if stats["invalid_fields"]:
        yield "invalid_fields, and there were none"
    if _stores(plan):
        return  # what is stored, others may send, later
    if plan.destination in KAFKA:
        if stats["confirmed"] > len(arrived.distinct):
            yield f"{len(arrived.distinct)} arrived, but confirmed {stats['confirmed']}"
    elif stats["confirmed"] > arrived.confirmable and "finishes_early" not in plan.faults:
        yield f"FINISH was sent for {arrived.confirmable} records"
    if arrived.twice > stats["resent"] and books["closed"]:
        yield f"{arrived.twice} came twice, but resent {stats['resent']}"
    yield from _check_order(plan, arrived)
    if not books["closed"]:
        return  # a child that ended without close(): its last snapshot is old
    # Frames that a stuck writer thread was writing are given up by close(), and may go on later.
    stuck = stats["dropped"]["disconnected"] if plan.options.get("rotator") == "slow" else 0
    if len(arrived.distinct) > written + stuck:
        yield f"{len(arrived.distinct)} arrived, but written {written}"
    missing = written - len(arrived.distinct)
    if missing > stats["unconfirmed"] and not _hides_loss(plan):
        yield f"{missing} of those written are missing, unconfirmed {stats['unconfirmed']}"
    if not missing and arrived.size != stats["bytes_written"]:
        yield f"{arrived.size} bytes arrived"


def _stores(plan: Plan) -> bool:
    return "spool" in plan.options


def _check_all(plan: Plan, reports: List[Dict[str, Any]], streams: List[Stream]) -> Iterator[str]:
    """Check the books of all handlers together: what arrived, or is still stored."""
    books = [each for report in reports for each in report["books"]]
    if _hides_loss(plan) or not all(each["closed"] for each in books):
        return
    stats = [each["stats"] for each in books]
    logged = sum(each["logged"] for each in stats)
    dropped = sum(sum(each["dropped"].values()) for each in stats)
    unconfirmed = sum(each["unconfirmed"] for each in stats)
    arrivals = [each for stream in streams for each in stream.arrivals]
    missing = logged - dropped - len({each.mark for each in arrivals})
    latest = streams[-1].about() if streams else "nothing arrived"
    if missing > unconfirmed:
        yield f"{missing} records are missing, unconfirmed {unconfirmed}: {latest}"
    marks: Dict[Tuple[str, int], Any] = {}
    for each in arrivals:
        if each.sequence is not None and marks.setdefault(each.sequence, each.mark) != each.mark:
            yield f"{each.sequence} is of two: {each.mark} and {marks[each.sequence]}"
    last: Dict[str, int] = {}
    for run, number in marks:
        last[run] = max(number, last.get(run, 0))
    gaps = sum(last.values()) - len(marks)
    lost = sum(each["dropped"]["spool_lost"] for each in stats)
    if gaps > unconfirmed + lost:
        yield f"{gaps} numbers are missing, unconfirmed {unconfirmed}, lost {lost}"


def _about(books: Dict[str, Any], arrived: _Arrived) -> str:
    """Return what is known of a handler, for whoever has to find out what was wrong."""
    stats = {name: value for name, value in books["stats"].items() if name != "dropped"}
    dropped = {cause: number for cause, number in books["stats"]["dropped"].items() if number}
    streams = "".join(f"\n    {each.about()}" for each in arrived.streams)
    return f"{stats}\n    dropped {dropped}\n    attempts {books['attempts']}{streams}"


def _hides_loss(plan: Plan) -> bool:
    return any(plan.destination in FAULTS[name].hides_loss for name in plan.faults)


def _check_order(plan: Plan, arrived: _Arrived) -> Iterator[str]:
    """Check that first arrivals are in the order in which each thread logged."""
    parts = arrived.parts
    if plan.destination in KAFKA:  # in each partition, and so by key
        yield from filter(None, map(_in_order, parts))
        return
    if plan.destination in FILES:  # the names of captures do not tell their order
        yield from _check_parts(parts)
        return
    seen: Set[Tuple[str, int]] = set()
    last: Dict[str, int] = {}
    for part in parts:
        begun = False
        for each in part:
            key = each.mark[2:]
            if key in seen:
                if begun:
                    yield f"{each.mark} came again behind what had not come before"
                    return
                continue
            begun = True
            seen.add(key)
            if each.mark.number < last.get(each.mark.thread, -1):
                yield f"{each.mark} came after number {last[each.mark.thread]}"
                return
            last[each.mark.thread] = each.mark.number


def _in_order(part: List[Arrival]) -> str:
    """Return what is not in order in a partition; "": nothing."""
    last: Dict[str, int] = {}
    for each in part:
        if each.mark.number < last.get(each.mark.thread, -1):
            return f"{each.mark} came after number {last[each.mark.thread]}"
        last[each.mark.thread] = each.mark.number
    return ""


def _check_parts(parts: List[List[Arrival]]) -> Iterator[str]:
    """Check that each capture is in order, and that no two overlap."""
    ranges: Dict[str, List[Tuple[int, int]]] = {}
    for part in parts:
        numbers: Dict[str, List[int]] = {}
        for each in part:
            numbers.setdefault(each.mark.thread, []).append(each.mark.number)
        for thread, found in numbers.items():
            if found != sorted(found):
                yield f"not in order: {thread}"
            ranges.setdefault(thread, []).append((found[0], found[-1]))
    for thread, pairs in ranges.items():
        pairs.sort()
        for (_, end), (begin, _) in zip(pairs, pairs[1:]):
            if begin <= end:
                yield f"captures overlap in {thread}: {pairs}"


def _check_ends(plan: Plan, reports: List[Dict[str, Any]], streams: List[Stream]) -> Iterator[str]:
    """Check that every capture is whole, but for those of children that ended without close()."""
    # Nobody can write STOP to a capture whose descriptor is gone.
    steals = any(step[0] == "steal" for thread in plan.threads for step in thread)
    unclosed = {r["process"] for r in reports for b in r["books"] if not b["closed"]}
    for stream in streams:
        if any(process in unclosed for process, _ in stream.writers):
            continue
        if not stream.has_stop and (stream.cut or (stream.arrivals and not steals)):
            yield f"a capture that is not whole: {stream.about()}"
