"""A real collector that crashes: the test runs once more, for that error alone.

fstrm_capture 0.6.1 now and then corrupts its own memory (glibc aborts it). That is no failure of
ours. But what crashes it again may well be what we send: the second time, the test fails. The last
lines of a run say which tests had to run twice.

`tests/conftest.py` has the hooks.
"""

from __future__ import annotations

import signal
from typing import Any, Iterator, List, Optional

import pytest
from _pytest.runner import runtestprotocol

__all__ = ["CRASHES", "CollectorCrashed"]

CRASHES = (-signal.SIGABRT, -signal.SIGSEGV)
"""Return codes of a program that ended by its own fault: nobody here sends these signals."""

RAN_TWICE = "ran twice, for"


class CollectorCrashed(Exception):
    """A real collector, not ours, ended by SIGABRT or SIGSEGV."""


def pytest_runtest_protocol(item: pytest.Item, nextitem: Optional[pytest.Item]) -> bool:
    """Run a test; once more if a collector crashed in it."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports: List[Any] = runtestprotocol(item, log=False, nextitem=nextitem)
    crash = next((found for each in reports if (found := getattr(each, "crash", None))), None)
    if crash:
        item.user_properties.append((RAN_TWICE, crash))
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note in a test's report that a collector crashed."""
    outcome: Any = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, CollectorCrashed):
        outcome.get_result().crash = str(call.excinfo.value)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which tests ran twice."""
    for report in terminalreporter.getreports(""):  # of setups and teardowns
        for name, value in report.user_properties:
            if name == RAN_TWICE and report.when == "teardown":
                terminalreporter.write_line(f"{report.nodeid} {RAN_TWICE} {value}")
