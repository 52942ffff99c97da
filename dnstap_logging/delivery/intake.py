"""From records to frames: take what has gathered on the queue, check and encode it.

Used by whoever drives the delivery, which is the writer thread.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List

from ..codec.encoding import Encoder, NumberingEncoder
from ..codec.numbering import Numbering
from ..diagnostics import Reporter
from ..exceptions import InvalidMessage, MessageTooLarge
from ..message.check import Problem
from ..message.snapshot import Snapshot
from ..shorten import describe_error
from .options import Options
from .queue import RecordQueue
from .tcp_length import LENGTH_SIZE, has_length, strip_length

__all__ = ["Intake"]

GATHER_TIME = 0.005
"""Seconds in which records may gather once some came: a first one is written at once, and under
load a wake-up and a write are shared by all that come in this time, which is the interpreter's own
switch interval. Waking the thread for each record would cost several times the record itself."""

MOST_BYTES = 65536  # of a record, roughly: a DNS message and little else


class Intake:
    """Take records from the queue and make dnstap payloads of them.

    Args:
        queue: where the records come from, and the books.
        options: the handler's arguments.
        reporter: says what is wrong with records.
        batch_records: most records taken in one go.
        batch_bytes: no further record once so many bytes of payload were taken.
    """

    def __init__(
        self,
        queue: RecordQueue,
        options: Options,
        reporter: Reporter,
        batch_records: int,
        batch_bytes: int,
    ) -> None:
        self._queue = queue
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._reporter = reporter
        # So many records are not left waiting: half of what fits.
        fit = min(options.queue_size, options.queue_bytes // MOST_BYTES)
        self._enough = max(1, min(batch_records, fit // 2))
        self._under_load = False
        self._numbering = Numbering() if options.sequence else None
        arguments = (options.identity, options.version, options.full, options.max_frame_size)
        self._encoder = (
            Encoder(*arguments)
            if self._numbering is None
            else NumberingEncoder(self._numbering, *arguments)
        )

    def gather(self, timeout: float, interrupted: Callable[[], bool], into: List[bytes]) -> None:
        """Wait for records, and add the payloads of a batch to a list.

        Args:
            timeout: seconds to wait for the first record.
            interrupted: as in `RecordQueue.wait`.
            into: gets one payload for each record that is in flight from now on; the others are
                dropped and counted.
        """
        if self._under_load:
            self._queue.wait(min(timeout, GATHER_TIME), interrupted, self._enough)
        self._under_load = self._queue.wait(timeout, interrupted)
        if self._under_load:
            self.take(into)

    def take(self, into: List[bytes]) -> None:
        """Add the payloads of a batch to a list, as `gather`, without waiting."""
        self._encode(self._queue.take(self._batch_records, self._batch_bytes), into)

    def say_sequence(self) -> None:
        """Say the last number, if there are any: what is lost behind it leaves no gap."""
        if self._numbering is not None and self._numbering.last:
            self._count_drops()
            text = f"the last number of the sequence: {self._numbering}"
            self._reporter.report("sequence", logging.INFO, text)

    def begin_run(self) -> None:
        """End the run of numbers, since records were given up that had numbers already."""
        self.say_sequence()
        if self._numbering is not None and self._numbering.last:
            self._numbering.begin_run()

    def _count_drops(self) -> None:
        """Have the numbers say how many records were dropped by now."""
        if self._numbering is not None:
            self._numbering.dropped = sum(self._queue.snapshot().dropped.values())

    def _encode(self, batch: List[Snapshot], into: List[bytes]) -> None:
        self._count_drops()
        problems: List[Problem] = []
        dropped: Dict[str, int] = {}
        left = len(batch)
        encode = self._encoder.encode_record
        try:
            for snapshot in batch:
                left -= 1
                try:
                    for at in snapshot[1].messages_at:
                        wire: Any = snapshot[2][at]
                        # One octet says no for nearly all of them, without a call for each.
                        usual = type(wire) is bytes and len(wire) > 1
                        if usual and wire[1] != len(wire) - LENGTH_SIZE & 255:
                            continue
                        if has_length(wire):
                            snapshot = strip_length(snapshot, at, problems)
                    into.append(encode(snapshot, problems))
                except MessageTooLarge as error:
                    self._refuse(dropped, "too_large", str(error))
                except InvalidMessage as error:
                    self._refuse(dropped, "invalid", str(error))
                except BaseException as error:
                    self._refuse(dropped, "invalid", f"internal error: {describe_error(error)}")
                    if not isinstance(error, (Exception, SystemExit)):
                        raise
        finally:
            if left:  # what stops the thread itself: Ctrl-C where it is the main thread's
                dropped["invalid"] = dropped.get("invalid", 0) + left
            if dropped:
                self._queue.settle(dropped=dropped)
        if problems:
            self._queue.book(invalid_fields=len(problems))
            for kind, text in problems:
                self._reporter.report(f"field {kind}", logging.WARNING, text)

    def _refuse(self, dropped: Dict[str, int], cause: str, text: str) -> None:
        dropped[cause] = dropped.get(cause, 0) + 1
        if self._numbering is not None:
            self._numbering.dropped += 1
        self._reporter.report(cause, logging.WARNING, f"record dropped ({cause}): {text}")
