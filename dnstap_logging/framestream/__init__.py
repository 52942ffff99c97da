"""Frame Streams without I/O: frames, a decoder with limits, the state table, the two sessions.

The vocabulary is the specification's: a writer sends data frames to a reader, between the control
frames READY, ACCEPT, START, STOP and FINISH. Everything here takes bytes and gives bytes, in the
thread that calls; files and sockets are in `dnstap_logging.transport`.

This is the face of the folder: other rooms import these names from here.
"""

from __future__ import annotations

from .decoder import FrameDecoder
from .frames import (
    DEFAULT_MAX_FRAME_SIZE,
    MAX_CONTENT_TYPE_SIZE,
    MAX_CONTROL_FRAME_SIZE,
    MAX_FRAME_SIZE,
    ControlFrame,
    ControlType,
    Frame,
    encode_control,
    encode_data,
    foreign_opening,
)
from .session import ReaderSession, WriterSession
from .state import SENT_BY, TRANSITIONS, Direction, FrameKind, Peer, State

__all__ = [
    "ControlFrame",
    "ControlType",
    "DEFAULT_MAX_FRAME_SIZE",
    "Direction",
    "Frame",
    "FrameDecoder",
    "FrameKind",
    "MAX_CONTENT_TYPE_SIZE",
    "MAX_CONTROL_FRAME_SIZE",
    "MAX_FRAME_SIZE",
    "Peer",
    "ReaderSession",
    "SENT_BY",
    "State",
    "TRANSITIONS",
    "WriterSession",
    "encode_control",
    "encode_data",
    "foreign_opening",
]
