"""The clock that the tests of rotations set."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.capture.twins import Clock, set_clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Set the clock to a winter noon in Central Europe."""
    with set_clock() as clock:
        yield clock
