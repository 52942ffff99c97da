"""A message as text: one line, as the ``dnstap`` tool prints it, as JSON, as YAML."""

from __future__ import annotations

from .line import UNKNOWN, address_text, format_line, format_summary, mnemonic, own_time, own_wire

__all__ = [
    "UNKNOWN",
    "address_text",
    "format_line",
    "format_summary",
    "mnemonic",
    "own_time",
    "own_wire",
]
