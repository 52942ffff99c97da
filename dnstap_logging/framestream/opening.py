"""What the first bytes of a stream look like, if they are no Frame Streams. A pure function."""

from __future__ import annotations

from typing import Optional

from .frames import ESCAPE

__all__ = ["foreign_opening"]

SHOWN_BYTES = 16
"""How much of a foreign opening an error shows: enough for a request line or a magic number."""

OPENINGS = (
    (b"\x16\x03", "it looks like TLS"),
    (b"\x1f\x8b", "it looks like gzip: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "it looks like zstd: decompress it first"),
    (b"\xfd7zXZ\0", "it looks like xz: decompress it first"),
)
"""What people most often take for a stream, by its first bytes."""


def foreign_opening(data: bytes) -> Optional[str]:
    """Tell what is wrong with the first bytes of a stream, if they cannot be Frame Streams.

    Without this, any other protocol would show as a frame that is too large.

    Args:
        data: what has been read so far; fewer than four bytes may do.

    Returns:
        A clause for an error message, or None where it may be Frame Streams.
    """
    if ESCAPE.startswith(data[: len(ESCAPE)]):
        return None
    text = f"this is not Frame Streams: it begins with {data[:SHOWN_BYTES]!r}"
    for magic, guess in OPENINGS:
        if data.startswith(magic):
            return f"{text} ({guess})"
    return text
