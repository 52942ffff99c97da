"""The books of the demo: what was logged, written, received and dropped, and whether it agrees."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Sequence

from ...delivery.stats import Stats

__all__ = ["Books", "Tally", "print_summary"]


class Tally(NamedTuple):
    """What the client did."""

    sent: int = 0
    answered: int = 0
    truncated: int = 0


class Books(NamedTuple):
    """What one handler says, and what was found at the other end."""

    name: str
    stats: Stats
    received: Optional[int]  # None: by a collector of the user's, which alone can tell


def print_books(books: Sequence[Books]) -> None:
    """Print a table of them."""
    columns = ("logged", "accepted", "written", "received", "dropped")
    print(f"{'handler':<10}" + "".join(f"{column:>10}" for column in columns))
    for name, stats, received in books:
        dropped = sum(stats.dropped.values())
        arrived = "?" if received is None else received
        row = (stats.logged, stats.accepted, stats.written, arrived, dropped)
        print(f"{name:<10}" + "".join(f"{value:>10}" for value in row))


def find_faults(books: Sequence[Books], expected: int) -> List[str]:
    """Return what does not balance, in words."""
    faults = []
    for name, stats, received in books:
        dropped = sum(stats.dropped.values())
        waiting = stats.queued + stats.in_flight + stats.spooled
        if stats.logged + stats.recovered != stats.written + waiting + dropped:
            faults.append(f"{name}: the books do not balance: {stats}")
        if stats.logged != expected:
            faults.append(f"{name}: {stats.logged} logged, but the client saw {expected} messages")
        if received is not None and received != stats.written:
            faults.append(f"{name}: {stats.written} written, but {received} received")
        if dropped:
            causes = ", ".join(f"{cause} {n}" for cause, n in stats.dropped.items() if n)
            faults.append(f"{name}: {dropped} dropped ({causes}): {stats.last_error}")
        if stats.unconfirmed:
            faults.append(f"{name}: {stats.unconfirmed} written to sessions without a FINISH")
    return faults


def print_summary(books: Sequence[Books], tally: Tally, seconds: float, output: str) -> int:
    """Print what happened; return the exit status."""
    print()
    print(f"{tally.sent} queries, {tally.answered} answers in {seconds:.1f} s; ", end="")
    print(f"truncated, and asked again over TCP: {tally.truncated}")
    for _, stats, _ in books:
        print(f"{stats.written} messages, {stats.bytes_written:,} bytes went to {stats.address}")
    print()
    print_books(books)
    print()
    faults = find_faults(books, tally.sent + tally.answered)
    for fault in faults:
        print(fault)
    if not faults:
        print("The books balance: all that was logged was written, and nothing was dropped.")
    shown = os.path.relpath(output)
    print()
    print(f"The capture is {os.path.abspath(output)}, {os.path.getsize(output):,} bytes. Read it:")
    print(f"    dnstap-logging read {shown}           one line a message")
    print(f"    dnstap-logging read --yaml {shown}    every field, as YAML")
    print(f"    fstrm_dump {shown}                    the frames as they are")
    return 1 if faults else 0
