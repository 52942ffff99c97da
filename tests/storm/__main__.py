"""Print what the simulation says, as tables: `make storm`.

The same seeds give the same tables on every machine.
"""

from __future__ import annotations

import argparse
from typing import List, Optional, Sequence, Tuple

from tests.storm.policies import POLICIES
from tests.storm.simulation import Result, Scene, Store, least, run, share_dropped

SEEDS = (1, 2, 3)

SHORT, LONG = 128, 4096
"""Accept queues: that of `dnstap-logging listen`, and the longest of Linux as it comes."""

OUTAGES = (10.0, 60.0, 600.0)
SPOOL = Store(spool_bytes=1 << 30)


def text(seconds: Optional[float]) -> str:
    """Return a time in words."""
    return "never" if seconds is None else f"{seconds:.0f} s"


def percent(share: float) -> str:
    """Return a share in words."""
    return "none" if share == 0 else f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"


def show(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as the manual has it."""
    print(f"\n{heading}\n")
    print(f"| {' | '.join(columns)} |")
    print(f"| {' | '.join(['---'] * len(columns))} |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def worst(scene: Scene, since: float, seeds: Sequence[int] = SEEDS) -> Optional[float]:
    """Return the longest time until all were back, of some seeds; None: not all of them."""
    longest = 0.0
    for seed in seeds:
        time = run(scene._replace(seed=seed)).all_back(since)
        if time is None:
            return None
        longest = max(longest, time)
    return longest


def dropped(result: Result) -> List[str]:
    """Return what is dropped: with the usual queue at two rates, a long one, and a spool."""
    return [
        percent(share_dropped(result, Store(), 100)),
        percent(share_dropped(result, Store(), 1000)),
        percent(share_dropped(result, Store(queue_size=100_000), 1000)),
        percent(share_dropped(result, SPOOL, 1000)),
    ]


DROPPED = ("100/s", "1,000/s", "1,000/s, queue of 100,000", "1,000/s, spool of 1 GiB")


def outage_row(scene: Scene) -> List[str]:
    """Return how long it takes until all are back, and what is dropped until then."""
    result = run(scene)
    return [
        f"{scene.senders:,}",
        "no limit" if scene.hands is None else f"{scene.hands:.0f}/s",
        f"{scene.waiting:,}",
        text(scene.outage),
        f"{result.attempts / scene.senders:.0f}",
        text(result.all_back(scene.outage)),
        text(least(scene)),
        *dropped(result),
    ]


def outages() -> None:
    """One collector, away for different times."""
    kinds: List[Tuple[int, Optional[float], int]] = [(1000, None, LONG)]
    kinds += [(senders, 50.0, queue) for senders in (200, 1000, 5000) for queue in (SHORT, LONG)]
    rows = [
        outage_row(Scene(senders, hands, outage, waiting))
        for senders, hands, waiting in kinds
        for outage in OUTAGES
    ]
    columns = (
        "senders",
        "handshakes",
        "accept queue",
        "away",
        "attempts each",
        "all back",
        "least",
    )
    show("One collector is away; dropped of what was logged meanwhile", columns + DROPPED, rows)


def policies() -> None:
    """What other backoffs would do, in the worst of three runs."""
    scenes = [
        Scene(1, 50, 10),
        Scene(800, 50, 60),
        *[Scene(1000, 50, outage) for outage in OUTAGES],
        Scene(1000, 50, 60, waiting=SHORT),
        Scene(1200, 50, 60),
    ]
    rows = []
    for name, policy in POLICIES.items():
        times = [worst(scene._replace(policy=policy), scene.outage) for scene in scenes]
        rows.append([name, *map(text, times)])
    names = [
        f"{scene.senders:,}, away {text(scene.outage)}"
        + (", accept queue of 128" if scene.waiting == SHORT else "")
        for scene in scenes
    ]
    show("Until all are back, 50 handshakes a second, accept queue of 4,096", ("", *names), rows)


def patience() -> None:
    """What longer timeouts, short accept queues and a second collector change."""
    rows = []
    for senders in (1000, 5000):
        for timeout in (5.0, 30.0, 120.0):
            scene = Scene(senders, 50, 60, timeout=timeout)
            scenes = (scene, scene._replace(waiting=SHORT))
            alone = [text(worst(each, each.outage, SEEDS[:1])) for each in scenes]
            results = [run(each._replace(failover=True)) for each in scenes]
            two = [text(result.all_back(0.0)) for result in results]
            lost = [percent(share_dropped(result, Store(), 100)) for result in results]
            rows.append([f"{senders:,}", text(timeout), *alone, *two, *lost])
    columns = ("senders", "timeout", "all back", "accept queue of 128", "with a second collector")
    more = ("the same, accept queue of 128", "dropped there at 100/s", "accept queue of 128")
    show("Away for 60 s, 50 handshakes a second, accept queue of 4,096", columns + more, rows)


def main() -> None:
    """Print all tables."""
    argparse.ArgumentParser(prog="make storm", description=__doc__).parse_args()
    outages()
    policies()
    patience()


if __name__ == "__main__":
    main()
