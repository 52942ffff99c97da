"""A writer of a capture file: continues the stream that is there, and rolls over.

Belongs to the writer thread, as every `Writer`. A capture is one stream from START to STOP. A
stream that is there is continued as if it had never ended: its STOP is cut off when the next data
frame is written. A torn last frame, which a killed writer leaves, is cut off at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, List, Optional

from ..capture.end import find_end
from ..capture.frames import CaptureEnd
from ..exceptions import DecodeError, TransportError
from ..framestream.frames import (
    DEFAULT_MAX_FRAME_SIZE,
    DNSTAP_CONTENT_TYPE,
    LENGTH,
    MAX_FRAME_SIZE,
    STOP,
)
from ..framestream.session import WriterSession
from ..framestream.state import Direction
from ..interrupts import pass_on
from ..shorten import describe_error
from ..transport.file import FileTransport
from .destination import RolloverFailed
from .writer import FrameWriter

if TYPE_CHECKING:
    from ..capture.rotation import Rotation

__all__ = ["CaptureWriter", "find_capture_end"]

ROLLOVER_RETRY_INTERVAL = 5.0
"""Seconds before a failed rollover is tried again: a person has to remove what is in its way."""


def find_capture_end(transport: FileTransport, max_frame_size: int) -> CaptureEnd:
    """Find where the stream of an existing capture ends, and cut off a torn last frame.

    Args:
        transport: open and locked.
        max_frame_size: of the handler; a capture may hold larger frames than usual readers take.

    Raises:
        TransportError: it is not a capture that can be continued; it was not touched.
    """
    limit = min(max(max_frame_size, DEFAULT_MAX_FRAME_SIZE), MAX_FRAME_SIZE)
    try:
        end = find_end(transport.read_at, transport.size, max_frame_size=limit)
    except DecodeError as error:
        raise TransportError(
            transport.name,
            f"cannot be continued: {error}; move it away, or use mode='w' to overwrite it",
        ) from error
    except OSError as error:
        raise TransportError(transport.name, f"cannot be read: {error.strerror}") from error
    transport.keep(end.offset)
    if end.torn:
        transport.cut()
    return end


class CaptureWriter(FrameWriter):
    """Write frames of one stream to one capture file.

    Args:
        transport: open and locked; the writer owns it from now on.
        end: where the stream that is there ends.
        rotation: when to roll over, and how; None: never.
    """

    def __init__(
        self, transport: FileTransport, end: CaptureEnd, rotation: Optional[Rotation] = None
    ) -> None:
        super().__init__(transport, Direction.UNIDIRECTIONAL)
        self._file = transport
        self._end = end
        self._rotation = rotation
        self._next_rollover = 0.0
        # Whether the stream has a record: an empty one does not roll over, as in logging.
        self._has_frames = False
        # Whether the file is whole as it is, STOP included.
        self._stopped = end.stopped

    def start(self) -> None:
        """Write START, or go on behind the last frame of the stream that is there."""
        start = self._session.start()
        if self._end.offset == 0:
            self._transport.send(start)
        self._has_frames = self._end.offset > len(start)

    def fitting(self, payloads: List[bytes]) -> int:
        """Return how many of the payloads fit into this file; 0: it has to roll over first."""
        rotation = self._rotation
        if rotation is None or time.monotonic() < self._next_rollover:
            return len(payloads)
        size = self._file.size + len(STOP)
        has_frames = self._has_frames
        for number, payload in enumerate(payloads):
            frame = LENGTH.size + len(payload)
            if has_frames and rotation.due(size, frame):
                return number
            size += frame
            has_frames = True
        return len(payloads)

    def write(self, payloads: List[bytes]) -> int:
        """Write one data frame for each payload, the first over a STOP that is there."""
        self._stopped = False
        size = super().write(payloads)
        self._has_frames = True
        return size

    def stop(self) -> Optional[str]:
        """End the stream: STOP, unless it is there already; close the file."""
        if self._stopped:
            self.close()
            return None
        return super().stop()

    def is_current(self) -> bool:
        """Return whether the path still names this file."""
        try:
            self.look()
        except TransportError:
            return False
        return True

    @property
    def can_roll_over(self) -> bool:
        """Whether a rollover that is asked for has anything to move aside."""
        return self._rotation is not None and self._has_frames

    def roll_over(self) -> Optional[str]:
        """End the stream, have the file moved aside, and close it.

        The file stays locked until it is moved: a writer that waits for it gets the next one. If it
        cannot be moved, or its STOP not be written, the stream goes on in it, without STOP.
        """
        assert self._rotation is not None
        self.look()
        size = self._file.size
        try:
            self._transport.send(self._session.stop())
        except TransportError:
            self._go_on(size)
            raise
        problem = None
        try:
            self._rotation.roll()
        except BaseException as error:  # noqa: BLE001 - of a namer or rotator, too
            try:
                pass_on(error)
            except BaseException:  # Ctrl-C, where the main thread delivers
                self._go_on(size)
                raise
            problem = describe_error(error)
        if self._transport.look() is None:
            self._go_on(size)
            reason = problem or "nothing moved the file: backupCount is 0, or the rotator left it"
            raise RolloverFailed(
                self.name, f"rollover failed, the stream goes on in the same file: {reason}"
            )
        self.close()
        return problem

    def _go_on(self, size: int) -> None:
        """Go on with the stream: its next frame is written over the STOP."""
        self._file.keep(size)
        self._session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
        self._session.start()
        self._next_rollover = time.monotonic() + ROLLOVER_RETRY_INTERVAL
