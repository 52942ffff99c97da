"""What the tests of the pages share: a collector for the examples that send to one."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List

import pytest

from dnstap_logging import DnstapMessage, DnstapReceiver
from tests.docs.collector import Collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Collect on a unix socket."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/dnstap.sock", messages.append) as receiver:
        yield Collector(receiver, messages)
