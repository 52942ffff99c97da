"""How much CPU time reading a hostile message takes, and that it is in proportion to its octets.

Time is the thread's own on a CPU, so that other processes change it little; the rest, such as a
cold cache, is met by trying again. What is asked for leaves room for both: a reader that takes
quadratic time needs 64 times as long for eight times as many octets.
"""

from __future__ import annotations

import time
from typing import Callable, List

from tests.helpers.hostile_messages import HOSTILE, LONG, SHORT, hostile_message

TRIES = 5

MOST_TIMES = 3.0 * LONG / SHORT
"""How many times as long eight times as many octets may take: 24, instead of 8."""

SHORT_TIME = 0.02
"""Seconds for a long message in which the way that time grows cannot be told, nor matters."""


def cpu_time(read: Callable[[bytes], object], wire: bytes) -> float:
    """Return the seconds that reading a message took of this thread's CPU time."""
    started = time.thread_time()
    read(wire)
    return time.thread_time() - started


def too_slow(read: Callable[[bytes], object], most: float) -> List[str]:
    """Return a line for each hostile message that takes too long.

    Args:
        read: what is measured.
        most: seconds for a message of 64 KB.
    """
    lines = []
    for name in HOSTILE:
        line = _judge(read, name, most)
        if line:
            lines.append(f"{name}: {line}")
    return lines


def _judge(read: Callable[[bytes], object], name: str, most: float) -> str:
    """Return what is wrong, or nothing; the short message first, for the long one may take ages."""
    short, long = hostile_message(name, SHORT), hostile_message(name)
    # The whole time of a quadratic reader, as short as its share of the long message may be.
    before = min(cpu_time(read, short) for _ in range(2))
    if before > most:
        return f"{before:.3f} s for {len(short)} octets"
    after = cpu_time(read, long)
    for _ in range(TRIES):
        if after <= SHORT_TIME or (after <= most and after <= before * MOST_TIMES):
            return ""
        before = min(before, cpu_time(read, short))
        after = min(after, cpu_time(read, long))
    return f"{after:.3f} s for {len(long)} octets, {before:.4f} s for {len(short)}"
