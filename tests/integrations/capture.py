"""A logger with a dnstap handler, and what it captured."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import List

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader, MessageType
from tests.helpers.support import assert_balanced, wait_until


class Capture:
    """A logger whose dnstap handler writes into a capture file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handler = DnstapHandler(path, mode="x", overflow="block")
        # A new one each time: pytest hangs its own handler on loggers that it finds.
        self.logger = logging.getLogger(f"tests.{path.parent.name}")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)

    def wait_for(self, count: int) -> None:
        """Wait until this many messages were logged: a server's thread may still be at it."""
        wait_until(lambda: self.handler.stats().logged >= count, f"{count} logged messages")

    def messages(self, count: int = 0) -> List[DnstapMessage]:
        """Wait for that many messages, end the capture and return what is in it, which is all."""
        self.wait_for(count)
        self.handler.close()
        stats = self.handler.stats()
        assert_balanced(stats)
        assert (stats.logged, stats.invalid_fields) == (stats.written, 0), stats
        return list(DnstapReader(self.path))

    def of_type(self, message_type: MessageType, count: int = 0) -> List[DnstapMessage]:
        """Return the messages of one type."""
        return [each for each in self.messages(count) if each.message_type is message_type]
