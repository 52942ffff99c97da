"""Numbers for the records of one handler, at the end of ``Dnstap.extra``; `Encoder` sets them.

``seq=<run>/<n>/<d>``: 16 hexadecimal digits that are no other handler's, the number of the record,
from 1, and how many records the handler had dropped by then. A record that is dropped takes no
number. So numbers that are missing at the far end were lost on the way, and what comes twice was
sent again.
"""

from __future__ import annotations

import os
from typing import Optional

__all__ = ["Numbering"]


class Numbering:
    """The run and the numbers of one handler in one process.

    A record that is given up after it was numbered would leave a gap. So a handler that gave up
    goes on with another run.

    Attributes:
        last: the number of the last record that was encoded; 0: none was.
        dropped: how many records the handler had dropped. It is read from the books once for each
            batch: what is dropped at the queue meanwhile shows in the next one.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.begin_run()

    def begin_run(self) -> None:
        """Take a run that is no other's, and begin with number 1."""
        self._run = os.urandom(8).hex().encode()
        self.last = 0

    def __str__(self) -> str:
        return self._label(self.last).decode()

    def extra(self, given: Optional[bytes]) -> bytes:
        """Return what a record's ``extra`` becomes, if the record is the next."""
        label = self._label(self.last + 1)
        return b"%s %s" % (given, label) if given else label

    def _label(self, number: int) -> bytes:
        return b"seq=%s/%d/%d" % (self._run, number, self.dropped)
