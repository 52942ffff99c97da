"""A reader that follows a file in a thread of its own, and what it has found so far."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, List, Optional, Type

from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import CONTENT_TYPE, START, control, data, dnstap_payload, wait_until

START_FRAME = control(START, CONTENT_TYPE)
DEADLINE = 60  # seconds for a thread that was told to end


def frames(*numbers: int, start: bool = True) -> bytes:
    """Return that many data frames, with START before them."""
    return (START_FRAME if start else b"") + b"".join(data(dnstap_payload(n)) for n in numbers)


def append(path: Path, stream: bytes) -> None:
    """Write behind what is there."""
    with open(path, "ab", buffering=0) as file:
        file.write(stream)


def number_of(message: DnstapMessage) -> int:
    """Return what `dnstap_payload` was given; -1 for a message without that."""
    return int(message.extra or b"-1")


class Following:
    """Follows a file inside its ``with``; what the iteration raises is kept.

    Args:
        path: of the file.
        key: what is kept of a message; by default what `dnstap_payload` was given.

    Attributes:
        reader: the reader.
        numbers: that of each message so far.
        error: what ended the iteration; None if it was not an error, or has not ended.
    """

    def __init__(self, path: Path, key: Callable[[DnstapMessage], Any] = number_of) -> None:
        self.reader = DnstapReader(path, follow=True)
        self.numbers: List[Any] = []
        self._key = key
        self.error: Optional[Exception] = None
        self._looks = 0
        self._count_looks(self.reader._stream._source)
        self.thread = threading.Thread(target=self._run)

    def _count_looks(self, source: Any) -> None:
        look = source.look

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._looks += 1
            return look(*args, **kwargs)

        source.look = counted

    def _run(self) -> None:
        try:
            for message in self.reader:
                self.numbers.append(self._key(message))
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def __enter__(self) -> Following:
        self.thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.reader.close()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "close() did not end the iteration"
        if exc is None:
            assert self.error is None, self.error

    def wait_for(self, *numbers: int) -> None:
        """Wait until these messages were found, and no others."""
        expected = list(numbers)
        wait_until(
            lambda: self.error or len(self.numbers) >= len(expected),
            f"{expected}; there are {self.numbers}",
        )
        assert (self.numbers, self.error) == (expected, None)

    def wait_for_looks(self, count: int = 3) -> None:
        """Wait until the reader has looked that many times more at its file."""
        enough = self._looks + count
        wait_until(lambda: self.error or self._looks >= enough, f"{count} looks at the file")
        assert self.error is None

    def is_on(self, path: Path) -> bool:
        """Return whether the path still names the file that is read."""
        source: Any = self.reader._stream._source
        return path.exists() and os.path.samestat(os.fstat(source._file.fileno()), path.stat())

    def wait_for_end(self) -> Exception:
        """Wait until the iteration ended with an error, and return that."""
        self.thread.join(DEADLINE)
        error, self.error = self.error, None
        assert error is not None, "no error"
        return error
