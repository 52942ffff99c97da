"""Records numbered by their query ports."""

from __future__ import annotations

import logging
from typing import Any

from dnstap_logging import DnstapHandler


def log(handler: DnstapHandler, port: int, **extras: Any) -> None:
    """Give the handler one record, numbered by its query port."""
    extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_port": port, **extras}
    handler.handle(logging.makeLogRecord(extra))
