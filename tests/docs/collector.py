"""A collector for the examples of the pages that send to one."""

from __future__ import annotations

from typing import List, NamedTuple

from dnstap_logging import DnstapMessage, DnstapReceiver


class Collector(NamedTuple):
    """A receiver that stands where the examples send to."""

    receiver: DnstapReceiver
    messages: List[DnstapMessage]
