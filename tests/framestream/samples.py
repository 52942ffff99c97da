"""Frame Streams as bytes, annotated field by field: a specification that the tests run."""

from __future__ import annotations

from typing import Iterator

from dnstap_logging.framestream.frames import ControlFrame, Frame, FrameKind

DNSTAP = b"protobuf:dnstap.Dnstap"

ESCAPE = b"\x00\x00\x00\x00"

READY = (
    b"\x00\x00\x00\x00"  # escape: a control frame follows
    b"\x00\x00\x00\x22"  # its length: 34 = 4 + 4 + 4 + 22
    b"\x00\x00\x00\x04"  # type: READY
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x16"  # its length: 22
    b"protobuf:dnstap.Dnstap"
)
ACCEPT = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x22"  # length: 34
    b"\x00\x00\x00\x01"  # type: ACCEPT
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x16"  # its length: 22
    b"protobuf:dnstap.Dnstap"
)
START = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x22"  # length: 34
    b"\x00\x00\x00\x02"  # type: START
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x16"  # its length: 22
    b"protobuf:dnstap.Dnstap"
)
STOP = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4, the type alone
    b"\x00\x00\x00\x03"  # type: STOP
)
FINISH = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4, the type alone
    b"\x00\x00\x00\x05"  # type: FINISH
)
START_WITHOUT_TYPE = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4
    b"\x00\x00\x00\x02"  # type: START
)
READY_FOR_ANY = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4
    b"\x00\x00\x00\x04"  # type: READY
)
ACCEPT_ANY = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4
    b"\x00\x00\x00\x01"  # type: ACCEPT
)
READY_WITH_TWO = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x2d"  # length: 45 = 4 + (8 + 3) + (8 + 22)
    b"\x00\x00\x00\x04"  # type: READY
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x03"  # its length: 3
    b"x:y"
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x16"  # its length: 22
    b"protobuf:dnstap.Dnstap"
)
EMPTY_CONTENT_TYPE = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x0c"  # length: 12
    b"\x00\x00\x00\x02"  # type: START
    b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
    b"\x00\x00\x00\x00"  # its length: 0
)
UNKNOWN = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x0a"  # length: 10
    b"\x00\x00\x00\x63"  # type: 99, of a later version perhaps
    b"\xff\xff\xff\xff\xff\xff"  # no fields that we know how to read
)
UNKNOWN_ZERO = (
    b"\x00\x00\x00\x00"  # escape
    b"\x00\x00\x00\x04"  # length: 4
    b"\x00\x00\x00\x00"  # type: 0, which is no type
)
DATA = (
    b"\x00\x00\x00\x05"  # length: 5, a data frame
    b"hello"
)

# What each of them says.
SAMPLES: dict[str, tuple[bytes, Frame]] = {
    "READY": (READY, ControlFrame(FrameKind.READY, (DNSTAP,))),
    "ACCEPT": (ACCEPT, ControlFrame(FrameKind.ACCEPT, (DNSTAP,))),
    "START": (START, ControlFrame(FrameKind.START, (DNSTAP,))),
    "STOP": (STOP, ControlFrame(FrameKind.STOP)),
    "FINISH": (FINISH, ControlFrame(FrameKind.FINISH)),
    "START without a type": (START_WITHOUT_TYPE, ControlFrame(FrameKind.START)),
    "READY for any": (READY_FOR_ANY, ControlFrame(FrameKind.READY)),
    "ACCEPT any": (ACCEPT_ANY, ControlFrame(FrameKind.ACCEPT)),
    "READY with two": (READY_WITH_TWO, ControlFrame(FrameKind.READY, (b"x:y", DNSTAP))),
    "empty content type": (EMPTY_CONTENT_TYPE, ControlFrame(FrameKind.START, (b"",))),
    "unknown": (UNKNOWN, ControlFrame(99)),
    "unknown zero": (UNKNOWN_ZERO, ControlFrame(0)),
    "data": (DATA, b"hello"),
}

# Control frames that no table of types and fields allows, and a word of the error's text.
MALFORMED: dict[str, tuple[bytes, str]] = {
    "no type": (ESCAPE + b"\x00\x00\x00\x00", "0 bytes, expected at least 4"),
    "half a type": (ESCAPE + b"\x00\x00\x00\x02\x00\x00", "2 bytes, expected at least 4"),
    "half a field": (
        ESCAPE
        + b"\x00\x00\x00\x0a"  # length: 10
        + b"\x00\x00\x00\x02"  # type: START
        + b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
        + b"\x00\x00",  # half of its length
        "cut to 6 bytes",
    ),
    "field longer than its frame": (
        ESCAPE
        + b"\x00\x00\x00\x0e"  # length: 14
        + b"\x00\x00\x00\x02"  # type: START
        + b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
        + b"\x00\x00\x00\x03"  # its length: 3
        + b"ab",  # but two are left
        "content type of 3 bytes, expected at most 2",
    ),
    "content type of 257 bytes": (
        ESCAPE
        + b"\x00\x00\x01\x0d"  # length: 269
        + b"\x00\x00\x00\x04"  # type: READY
        + b"\x00\x00\x00\x01"  # field type: CONTENT_TYPE
        + b"\x00\x00\x01\x01"  # its length: 257
        + b"t" * 257,
        "content type of 257 bytes, expected at most 256",
    ),
    "unknown field": (
        ESCAPE
        + b"\x00\x00\x00\x0c"  # length: 12
        + b"\x00\x00\x00\x02"  # type: START
        + b"\x00\x00\x00\x02"  # field type: 2, unknown
        + b"\x00\x00\x00\x00",  # its length: 0
        "field of type 2",
    ),
    "START with two content types": (
        ESCAPE
        + b"\x00\x00\x00\x16"  # length: 22
        + b"\x00\x00\x00\x02"  # type: START
        + b"\x00\x00\x00\x01\x00\x00\x00\x01a"
        + b"\x00\x00\x00\x01\x00\x00\x00\x01b",
        "START with 2 content type(s), expected at most 1",
    ),
    "STOP with a content type": (
        ESCAPE
        + b"\x00\x00\x00\x0d"  # length: 13
        + b"\x00\x00\x00\x03"  # type: STOP
        + b"\x00\x00\x00\x01\x00\x00\x00\x01a",
        "STOP with 1 content type(s), expected at most 0",
    ),
    "FINISH with a content type": (
        ESCAPE
        + b"\x00\x00\x00\x0d"  # length: 13
        + b"\x00\x00\x00\x05"  # type: FINISH
        + b"\x00\x00\x00\x01\x00\x00\x00\x01a",
        "FINISH with 1 content type(s), expected at most 0",
    ),
}


def control(number: int, *content_types: bytes) -> bytes:
    """Make a control frame by hand, so that the encoder under test is not its own judge."""
    body = number.to_bytes(4, "big")
    for content_type in content_types:
        body += b"\x00\x00\x00\x01" + len(content_type).to_bytes(4, "big") + content_type
    return ESCAPE + len(body).to_bytes(4, "big") + body


def data(payload: bytes) -> bytes:
    """Make a data frame by hand."""
    return len(payload).to_bytes(4, "big") + payload


def single_bytes(stream: bytes) -> Iterator[bytes]:
    """Cut a stream into its bytes."""
    return (stream[at : at + 1] for at in range(len(stream)))
