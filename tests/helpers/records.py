"""A record's dns extras, and the messages of a whole capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from dnstap_logging import DnstapMessage, DnstapReader

WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")


def query(**extras: Any) -> Dict[str, Any]:
    """Return the dns extras of a query, with changes."""
    extra = {
        "dns_message_type": "CLIENT_QUERY",
        "dns_query_message": WIRE,
        "dns_query_address": ("192.0.2.1", 5353),
        "dns_socket_protocol": "UDP",
    }
    extra.update(extras)
    return extra


def read(path: Path) -> List[DnstapMessage]:
    """Return the messages of a capture, which must be whole."""
    with DnstapReader(path) as reader:
        messages = list(reader)
        assert reader.complete, "the capture has no STOP"
    return messages
