"""Checks of a writer thread that waits: no caller feels it, and one line reports its end."""

from __future__ import annotations

from typing import Any

from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.interop.collectors import stopwatch
from tests.situations.interop.taps import tapped

COUNT = 1000
HOUR = 3600.0
SHORT = 0.3
CLOSE_TIMEOUT = 0.5
GRACE = 10.0
"""Seconds for a busy machine; each wait that could be felt lasts longer."""


def check_nobody_waits(**options: Any) -> None:
    """Log while the writer thread waits for an hour; close, which is bounded nevertheless.

    That no attempt has failed when the calls are back shows that they did not wait for its end.
    """
    with tapped(timeout=HOUR, close_timeout=CLOSE_TIMEOUT, **options) as tap:
        tap.log_numbers(range(COUNT))
        stats = tap.stats()
        with stopwatch(CLOSE_TIMEOUT + GRACE, "close()"):
            end = tap.close()

    assert (stats.connects, stats.queued, stats.last_error) == (0, COUNT, None), stats
    assert end.dropped["disconnected"] == COUNT == sum(end.dropped.values()), end


def check_one_line(said: Said, hint: str, **options: Any) -> None:
    """Have the wait end at its timeout again and again; one line says so."""
    waits = {"timeout": SHORT, "close_timeout": 0.0, "report_interval": HOUR}
    intervals = {"reconnect_interval": 0.01, "max_reconnect_interval": 0.01}
    with tapped(**options, **waits, **intervals) as tap:
        tap.log_numbers([0])
        line = said.wait_for(options["address"])
        connection = tap.handler._writer_thread._delivery.connection
        wait_until(lambda: connection.backoff.failures > 2, "further attempts")
        lines = [each for each in said.with_text(options["address"]) if "dropped" not in each]

    assert lines == [line], lines
    assert hint in line
