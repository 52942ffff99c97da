"""The dnstap schema as protobuf message classes; the lowest room, used by the encoder alone.

`dnstap.proto` is the source, `dnstap_pb2.py` and its stub are made from it by `make proto`. The
classes belong to a descriptor pool of their own (see `tools/generate_proto.py` for the reason).
They keep no state here; an instance belongs to the thread that made it.
"""

from __future__ import annotations

from .dnstap_pb2 import Dnstap, Message, Policy

__all__ = ["Dnstap", "Message", "Policy"]
