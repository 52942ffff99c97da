"""The frames of Frame Streams: their numbers and limits, and control frames to bytes and back.

Every frame begins with a 32-bit big-endian length. Above 0, a data frame of that many bytes
follows; 0 is the escape: a control frame follows, with a length of its own, a type, and fields.

Pure functions without state or I/O; any thread.
"""

from __future__ import annotations

import enum
import struct
from typing import Dict, Iterator, NamedTuple, Optional, Union

from ..exceptions import LocalProtocolError, RemoteProtocolError

__all__ = [
    "CONTENT_TYPE_FIELD",
    "CONTROL_HEADER_SIZE",
    "ControlFrame",
    "DEFAULT_MAX_FRAME_SIZE",
    "DNSTAP_CONTENT_TYPE",
    "ESCAPE",
    "Frame",
    "FrameKind",
    "LENGTH",
    "MAX_CONTENT_TYPE_SIZE",
    "MAX_CONTROL_FRAME_SIZE",
    "MAX_FRAME_SIZE",
    "START",
    "STOP",
    "TLS_ALERT",
    "TLS_HANDSHAKE",
    "decode_control",
    "encode_control",
    "encode_data",
    "encode_header",
    "foreign_opening",
]

DNSTAP_CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
"""What the payloads of a dnstap stream are."""

LENGTH = struct.Struct(">I")
"""Every number in Frame Streams: lengths, control frame types, field types."""

ESCAPE = LENGTH.pack(0)
"""The length that no data frame has: a control frame follows."""

CONTROL_HEADER_SIZE = 2 * LENGTH.size
"""The escape and the control frame's own length."""

MAX_CONTROL_FRAME_SIZE = 512
"""Frame Streams: the most bytes of a control frame, without escape and length."""

MAX_CONTENT_TYPE_SIZE = 256
"""Frame Streams: the most bytes of one content type."""

MAX_FRAME_SIZE = 0xFFFFFFFF
"""The most bytes of a data frame's payload, by its 32-bit length."""

DEFAULT_MAX_FRAME_SIZE = 1024 * 1024
"""The largest default of common readers (that of Go's): far more than two messages of 64 KiB."""

CONTENT_TYPE_FIELD = 1
"""The only field that a control frame of a known type can have."""

TLS_ALERT = b"\x15\x03"
"""The first bytes of a TLS record that holds an alert (RFC 8446, 5.1)."""

TLS_HANDSHAKE = b"\x16\x03"
"""The first bytes of a TLS record that holds a part of a handshake."""

_SHOWN_BYTES = 16  # of a foreign opening, enough to recognize it
_OPENINGS = (  # the first bytes of what people often give us instead
    (TLS_HANDSHAKE, "it looks like TLS"),
    (b"\x1f\x8b", "it looks like gzip: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "it looks like zstd: decompress it first"),
    (b"\xfd7zXZ\0", "it looks like xz: decompress it first"),
)

_FIELD_HEADER_SIZE = 2 * LENGTH.size
_AS_MANY_AS_FIT = (MAX_CONTROL_FRAME_SIZE - LENGTH.size) // _FIELD_HEADER_SIZE


class FrameKind(enum.IntEnum):
    """The kinds of frames: data, and the known types of control frames with their numbers."""

    DATA = -1  # no number that a control frame can have
    ACCEPT = 1
    START = 2
    STOP = 3
    READY = 4
    FINISH = 5


# The most content types that Frame Streams allows on each type of control frame.
_MOST_CONTENT_TYPES: Dict[int, int] = {
    FrameKind.ACCEPT: _AS_MANY_AS_FIT,
    FrameKind.START: 1,
    FrameKind.STOP: 0,
    FrameKind.READY: _AS_MANY_AS_FIT,
    FrameKind.FINISH: 0,
}


class ControlFrame(NamedTuple):
    """A control frame.

    Attributes:
        type: a `FrameKind`, or another number where the type is unknown.
        content_types: its content types; empty means "any" on READY and ACCEPT. Those of an
            unknown type are not read.
    """

    type: int
    content_types: tuple[bytes, ...] = ()


Frame = Union[bytes, ControlFrame]
"""A frame from the decoder: the payload of a data frame, or a control frame."""


def encode_header(size: int) -> bytes:
    """Encode the length that a data frame begins with.

    Args:
        size: bytes of the payload that follows.

    Raises:
        LocalProtocolError: the payload is empty (0 is the escape of a control frame), or its
            length does not fit 32 bits.
    """
    if 0 < size <= MAX_FRAME_SIZE:
        return LENGTH.pack(size)
    raise LocalProtocolError(
        f"cannot send a data frame of {size} bytes, expected 1 to {MAX_FRAME_SIZE}"
    )


def encode_data(payload: bytes) -> bytes:
    """Encode one data frame.

    Args:
        payload: at least one byte.

    Raises:
        LocalProtocolError: as `encode_header`.
    """
    return encode_header(len(payload)) + payload


def encode_control(frame: ControlFrame) -> bytes:
    """Encode one control frame, escape and length included.

    Args:
        frame: of a known type, with no more content types than Frame Streams allows on it.

    Raises:
        LocalProtocolError: an unknown type, too many content types, or one of the limits
            (512 bytes for the frame, 256 for a content type) is exceeded.
    """
    most = _MOST_CONTENT_TYPES.get(frame.type)
    if most is None:
        raise LocalProtocolError(
            f"cannot send a control frame of unknown type {frame.type}, expected 1 to 5"
        )
    control, types = FrameKind(frame.type), frame.content_types
    if len(types) > most:
        raise LocalProtocolError(
            f"cannot send {control.name} with {len(types)} content type(s), expected at most {most}"
        )
    body = LENGTH.pack(control) + b"".join(map(_encode_content_type, types))
    if len(body) > MAX_CONTROL_FRAME_SIZE:
        raise LocalProtocolError(
            f"cannot send {control.name} in {len(body)} bytes,"
            f" expected at most {MAX_CONTROL_FRAME_SIZE}"
        )
    return ESCAPE + LENGTH.pack(len(body)) + body


def _encode_content_type(content_type: bytes) -> bytes:
    size = len(content_type)
    if size > MAX_CONTENT_TYPE_SIZE:
        raise LocalProtocolError(
            f"cannot send a content type of {size} bytes, expected at most {MAX_CONTENT_TYPE_SIZE}"
        )
    return LENGTH.pack(CONTENT_TYPE_FIELD) + LENGTH.pack(size) + content_type


START = encode_control(ControlFrame(FrameKind.START, (DNSTAP_CONTENT_TYPE,)))
"""The first frame of a dnstap capture."""

STOP = encode_control(ControlFrame(FrameKind.STOP))
"""The last frame of a stream in a file."""


def decode_control(body: bytes) -> ControlFrame:
    """Decode a control frame from what follows its length.

    Args:
        body: the whole of it: type and fields. The fields of an unknown type are ignored,
            because a later version of Frame Streams may give them any form.

    Raises:
        RemoteProtocolError: it is cut short, or has a field that its type cannot have.
    """
    if len(body) < LENGTH.size:
        raise RemoteProtocolError(
            f"received a control frame of {len(body)} bytes, expected at least {LENGTH.size}"
        )
    (number,) = LENGTH.unpack_from(body)
    try:
        control = FrameKind(number)
    except ValueError:
        return ControlFrame(number)
    content_types = tuple(_content_types(control, body))
    most = _MOST_CONTENT_TYPES[control]
    if len(content_types) > most:
        raise RemoteProtocolError(
            f"received {control.name} with {len(content_types)} content type(s),"
            f" expected at most {most}"
        )
    return ControlFrame(control, content_types)


def _content_types(control: FrameKind, body: bytes) -> Iterator[bytes]:
    """Yield the content types of a control frame; RemoteProtocolError if it is malformed."""
    at = LENGTH.size
    while at < len(body):
        value = at + _FIELD_HEADER_SIZE
        if value > len(body):
            raise RemoteProtocolError(
                f"received {control.name} whose last field is cut to {len(body) - at} bytes,"
                f" expected at least {_FIELD_HEADER_SIZE}"
            )
        (field,) = LENGTH.unpack_from(body, at)
        (size,) = LENGTH.unpack_from(body, at + LENGTH.size)
        if field != CONTENT_TYPE_FIELD:
            raise RemoteProtocolError(
                f"received {control.name} with a field of type {field},"
                f" expected only {CONTENT_TYPE_FIELD} (content type)"
            )
        most = min(MAX_CONTENT_TYPE_SIZE, len(body) - value)
        if size > most:
            raise RemoteProtocolError(
                f"received {control.name} with a content type of {size} bytes,"
                f" expected at most {most} here"
            )
        at = value + size
        yield body[value:at]


def foreign_opening(data: bytes) -> Optional[str]:
    """Return what is wrong with the first bytes of a stream, if they cannot be Frame Streams.

    Otherwise any other protocol would be reported as a frame that is too large.

    Args:
        data: what has been read so far; fewer than four bytes may be enough.

    Returns:
        A clause for an error message, or None if it may be Frame Streams.
    """
    if ESCAPE.startswith(data[: len(ESCAPE)]):
        return None
    text = f"this is not Frame Streams: it begins with {data[:_SHOWN_BYTES]!r}"
    for magic, guess in _OPENINGS:
        if data.startswith(magic):
            return f"{text} ({guess})"
    return text
