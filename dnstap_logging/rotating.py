"""`RotatingDnstapHandler` and `TimedRotatingDnstapHandler`: captures that roll over.

They have the arguments, file names and rules for backups of their twins in `logging.handlers`. The
writer thread rolls over between two records: the file gets its STOP and is moved aside, and the
next one begins with START.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Optional, Union

from .address import parse_address
from .arguments import integer
from .capture.rotation import Rotation, SizeRotation, TimedRotation
from .handler import DnstapHandler

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Unpack

    from .adapter.keywords import FileArguments

__all__ = ["RotatingDnstapHandler", "TimedRotatingDnstapHandler"]

# Methods that subclasses of the twins may override. Overriding them is refused: here the writer
# thread rolls over, without the handler, and would never call them.
_NOT_ASKED = (
    "computeRollover",
    "doRollover",
    "getFilesToDelete",
    "rotate",
    "rotation_filename",
    "shouldRollover",
)


def _rotation_attribute(
    name: str, meaning: str, check: Optional[Callable[[str, Any], Any]] = None
) -> Any:
    """Make a property of a handler that is an attribute of its rotation.

    Args:
        name: of the attribute.
        meaning: its docstring.
        check: called with the name and a new value; returns the value to set, or raises.
    """

    def get(self: _BaseRotatingDnstapHandler) -> Any:
        return getattr(self._writer_thread.rotation, name)

    def set_(self: _BaseRotatingDnstapHandler, value: Any) -> None:
        value = value if check is None else check(name, value)
        setattr(self._writer_thread.rotation, name, value)

    return property(get, set_, doc=meaning)


def _count(name: str, value: Any) -> int:
    """Check backupCount or maxBytes."""
    return integer(name, value, 0)


def _moment(name: str, value: Any) -> float:
    """Check seconds since the epoch."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}={value!r}: must be seconds since the epoch")
    return value


def _function(name: str, value: Any) -> Any:
    """Check a namer or a rotator."""
    if value is not None and (isinstance(value, type) or not callable(value)):
        raise TypeError(f"{name}={value!r}: must be a function, or None")
    return value


def _fixed(name: str, value: Any) -> NoReturn:
    """Refuse another path: the open file is the one that will be moved."""
    raise AttributeError(f"{name}={value!r}: cannot be changed, make another handler")


class _BaseRotatingDnstapHandler(DnstapHandler):
    """What both handlers have in common."""

    _rotation: Rotation

    namer = _rotation_attribute(
        "namer", "A function from the usual name of a backup to another.", _function
    )
    rotator = _rotation_attribute(
        "rotator", "A function (source, dest) that moves a capture.", _function
    )
    baseFilename = _rotation_attribute("baseFilename", "The absolute path of the capture.", _fixed)
    backupCount = _rotation_attribute("backupCount", "How many older captures are kept.", _count)

    def _begin(
        self, filename: Union[str, os.PathLike[str]], rotation: Rotation, arguments: Any
    ) -> None:
        for name in _NOT_ASKED:
            ours = getattr(_BaseRotatingDnstapHandler, name, None)
            if getattr(type(self), name, None) is not ours:
                raise TypeError(
                    f"{type(self).__name__}.{name}: overriding it has no effect here, since the "
                    f"writer thread rolls over; set the attributes namer and rotator"
                )
        self._rotation = rotation
        super().__init__(filename, **arguments)

    def doRollover(self) -> None:
        """Roll over now, after what was logged before this call.

        Waits until that is done, at most close_timeout seconds. A capture without a record stays
        as it is. Errors are not raised but reported, and kept in ``stats().last_error``.
        """
        self._writer_thread.roll_over(time.monotonic() + self._options.close_timeout)


class RotatingDnstapHandler(_BaseRotatingDnstapHandler):
    """Write a capture file that rolls over before it reaches a size.

    The twin of `logging.handlers.RotatingFileHandler`: ``capture.fstrm`` becomes
    ``capture.fstrm.1``, that ``capture.fstrm.2``, and so on. A capture with its STOP is smaller
    than ``maxBytes``, unless its only record is larger.

    Args:
        filename: the capture, a path.
        mode: as of `DnstapHandler`; "a" if ``maxBytes`` is set, as in the twin.
        maxBytes: bytes that a capture does not reach; 0: it never rolls over.
        backupCount: how many older captures are kept; 0: it never rolls over.
        arguments: those of `DnstapHandler` that are not only for sockets.

    Raises:
        TypeError, ValueError, TransportError: as `DnstapHandler`.
    """

    __module__ = "dnstap_logging"

    maxBytes = _rotation_attribute(
        "maxBytes", "Bytes that a capture does not reach; 0: no limit.", _count
    )

    def __init__(
        self,
        filename: Union[str, os.PathLike[str]],
        mode: str = "a",
        maxBytes: int = 0,
        backupCount: int = 0,
        **arguments: Unpack[FileArguments],
    ) -> None:
        rotation = SizeRotation(_path(filename), maxBytes, backupCount)
        mode = "a" if maxBytes > 0 and mode == "w" else mode
        self._begin(filename, rotation, {**arguments, "mode": mode})


class TimedRotatingDnstapHandler(_BaseRotatingDnstapHandler):
    """Write a capture file that rolls over at certain times.

    The twin of `logging.handlers.TimedRotatingFileHandler`: ``capture.fstrm`` becomes
    ``capture.fstrm.2026-01-31_12``, after the time when it began. As in the twin, a capture rolls
    over with the first record after its time; until then it stays as it is.

    Args:
        filename: the capture, a path.
        when: "S", "M", "H", "D", "midnight" or "W0" (Monday) to "W6", in any case.
        interval: how many of these units between two rollovers.
        backupCount: how many older captures are kept; 0: all.
        utc: whether the times are UTC instead of local.
        atTime: a `datetime.time` of the day, for "midnight" and "W0" to "W6".
        arguments: those of `DnstapHandler` that are not only for sockets; the mode is always "a".

    Raises:
        TypeError, ValueError, TransportError: as `DnstapHandler`.
    """

    __module__ = "dnstap_logging"

    when = _rotation_attribute("when", "As given, in upper case.")
    interval = _rotation_attribute("interval", "Seconds between two rollovers.")
    utc = _rotation_attribute("utc", "Whether the times are UTC.")
    atTime = _rotation_attribute("atTime", "The time of the day, or None.")
    suffix = _rotation_attribute("suffix", "The strftime format in the names of backups.")
    extMatch = _rotation_attribute("extMatch", "The pattern that the names of backups match.")
    rolloverAt = _rotation_attribute(
        "rolloverAt", "The next time, in seconds since the epoch.", _moment
    )

    def __init__(
        self,
        filename: Union[str, os.PathLike[str]],
        when: str = "h",
        interval: int = 1,
        backupCount: int = 0,
        *,
        utc: bool = False,
        atTime: Optional[datetime.time] = None,
        **arguments: Unpack[FileArguments],
    ) -> None:
        if "mode" in arguments:
            raise TypeError("mode: must be left out, it is always 'a'")
        rotation = TimedRotation(_path(filename), when, interval, backupCount, utc, atTime)
        self._begin(filename, rotation, dict(arguments))


def _path(value: object) -> str:
    """Return the absolute path of a capture; refuse the address of a socket."""
    address = parse_address(value, argument="filename")
    if not address.is_file:
        raise ValueError(f"filename={value!r}: must be the path of a file, not a socket's address")
    return os.path.abspath(address.path)
