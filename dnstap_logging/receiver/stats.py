"""The counters of a receiver, as its user sees them."""

# No "from __future__ import annotations": typing.get_type_hints would look for the names in the
# public module, which does not import them.
from typing import NamedTuple, Optional

__all__ = ["ReceiverStats"]


class ReceiverStats(NamedTuple):
    """What a receiver has done so far.

    In every snapshot ``connections == active + finished + interrupted + protocol_errors``.

    Attributes:
        connections: connections served, now and before.
        active: those that are open.
        finished: those that ended in order, with STOP.
        interrupted: those that ended without STOP: closed or reset by the sender, or by `close`.
        protocol_errors: those that broke the rules of Frame Streams (a foreign protocol, another
            content type, an oversize frame), failed at TLS, or sent no START in time or before
            their place was needed.
        refused: connections beyond ``max_connections``, closed at once.
        messages: messages (or frames) handed to the callback.
        undecodable: payloads that are not dnstap messages, left out.
        callback_errors: calls of the callback that raised; they are in ``messages`` too.
        last_error: the latest diagnostic, or None.
    """

    connections: int
    active: int
    finished: int
    interrupted: int
    protocol_errors: int
    refused: int
    messages: int
    undecodable: int
    callback_errors: int
    last_error: Optional[str]


# mypy does not let the body of a NamedTuple say so.
ReceiverStats.__module__ = "dnstap_logging.receiver"
