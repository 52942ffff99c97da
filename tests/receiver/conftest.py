"""Fixtures of the receiver's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List

import pytest

from dnstap_logging.receiver import DnstapReceiver
from tests.receiver.peer import TCP, Inbox, Make, assert_balanced


@pytest.fixture
def inbox() -> Inbox:
    """Collect what a receiver hands on."""
    return Inbox()


@pytest.fixture
def unix(tmp_path: Path) -> str:
    """Name a unix socket that is not there yet."""
    return f"unix://{tmp_path}/d.sock"


@pytest.fixture
def make(inbox: Inbox) -> Iterator[Make]:
    """Start receivers, and close them at the end."""
    made: List[DnstapReceiver] = []

    def start(address: str, on_message: Any = inbox, **arguments: Any) -> DnstapReceiver:
        if "on_frame" in arguments:
            on_message = None
        made.append(DnstapReceiver(address, on_message, **arguments))
        return made[-1].start()

    yield start
    for receiver in made:
        receiver.close()
        assert_balanced(receiver.stats())


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, unix: str) -> str:
    """Go over unix and TCP."""
    return unix if request.param == "unix" else TCP
