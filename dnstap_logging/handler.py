"""`DnstapHandler`: what logging sees.

Runs in the threads that log. A record is looked at, made immutable and put on a queue; everything
else is the writer thread's.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Mapping, NoReturn, Optional, Sequence, Union

from .arguments import DEFAULT, DEFAULT_PERMISSIONS, Default
from .arguments import level as checked_level
from .copies import refuse_copy
from .delivery.options import (
    DEFAULT_KAFKA_KEY,
    DEFAULT_PREFER_AFTER,
    DEFAULT_RESEND_BYTES,
    DEFAULT_SPOOL_BYTES,
    make_options,
)
from .delivery.stats import Stats
from .delivery.writer_thread import WriterThread
from .diagnostics import LOGGER_NAME
from .interrupts import pass_on
from .loggers import SilentMistakes, apply_filter, deaf_kinds, describe_refusal
from .message.fields import has_dns_keys
from .message.nested import lift
from .message.snapshot import PAYLOAD, Unusable, take_snapshot
from .shorten import describe_error, shorten, type_name

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Literal

__all__ = ["ORIGINALS", "DnstapHandler", "living"]

SHUTDOWN_WINDOW = 0.1
"""Seconds between flush() and close() within which they count as one call of logging.shutdown,
and share one close_timeout."""


class DnstapHandler(logging.Handler):
    """Send the dns extras of log records to a dnstap collector or into a capture file.

    A record with no ``dns_`` key is ignored. Logging never waits for I/O, never raises, and
    never takes more memory than the queue's bounds; what is lost is counted in `stats`.

    Args:
        address: ``unix:///path``, ``unix://@abstract``, ``tcp://host:port``,
            ``tls://host:port``, ``kafka://host:port,host:port/topic``, ``file:///path`` or a plain
            path, which is a file. A list of sockets: the first that answers is used, and when it
            fails, the next.
        level: as in logging.
        identity: Dnstap.identity; by default the host name. "" leaves the field out.
        version: Dnstap.version; by default the library's. "" leaves the field out.
        full: False leaves the wire messages out.
        sequence: True ends Dnstap.extra in ``seq=<run>/<n>/<d>``, for `DnstapMessage.sequence`.
        queue_size: most records held in memory.
        queue_bytes: most bytes of payload held in memory.
        overflow: "drop" the newest record over a bound, or "block" the caller until there is room.
        bidirectional: Frame Streams handshake; by default on sockets, never on files.
        timeout: seconds for connecting, for each handshake, and for a write without progress.
        resend_bytes: for sockets, how many of a session's last bytes may go out again; 0: none.
        reconnect_interval: seconds before the first new attempt; doubles with every failure.
        max_reconnect_interval: its bound; by default 1.0 for unix sockets, 10.0 for tcp and tls.
        max_reconnect_attempts: further attempts before giving up; None: for ever, 0: none.
        prefer_after: with several addresses, seconds after which an earlier one is tried again,
            while a later one is used, and each time after that; None: never.
        close_timeout: seconds that flush() and close() together may take.
        max_frame_size: bytes of a frame that the collector takes.
        report_interval: seconds between two diagnostics of one kind.
        ssl_context: for ``tls://``, instead of the four that follow.
        cafile: certificates to trust, instead of the system's.
        certfile: our own certificate, for collectors that ask for one.
        keyfile: its key, if it is not in certfile.
        server_hostname: the name in the collector's certificate, if it is not the address's.
        spool: for sockets, a folder in which records wait on disk while the collector is away.
        spool_bytes: most bytes of all that lies there; at least 1 MiB.
        mode: for files, "a" continues, "w" overwrites, "x" refuses an existing file.
        delay: True opens the file with the first record instead of now.
        permissions: of a new file, before the umask; text as for chmod ("0640"), too.
        kafka_key: of Kafka's records: the "identity", the "client" as text, or None.
        kafka_options: a dict of librdkafka's options, such as those of TLS and SASL.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
        ModuleNotFoundError: Kafka without confluent-kafka.
        TransportError: a file or a spool that cannot be used, or is not to be continued.
    """

    __module__ = "dnstap_logging"

    def __init__(
        self,
        address: Union[str, os.PathLike[str], Sequence[str]],
        level: Union[int, str] = logging.NOTSET,
        *,
        identity: Union[str, bytes, None] = None,
        version: Union[str, bytes, None] = None,
        full: bool = True,
        sequence: bool = False,
        queue_size: int = 10000,
        queue_bytes: int = 64 * 1024 * 1024,
        overflow: str = "drop",
        bidirectional: Optional[bool] = None,
        timeout: float = 5.0,
        resend_bytes: int = DEFAULT_RESEND_BYTES,
        reconnect_interval: float = 0.1,
        max_reconnect_interval: Optional[float] = None,
        max_reconnect_attempts: Optional[int] = None,
        prefer_after: Optional[float] = DEFAULT_PREFER_AFTER,
        close_timeout: float = 5.0,
        max_frame_size: int = 98304,
        report_interval: float = 10.0,
        ssl_context: Optional[ssl.SSLContext] = None,
        cafile: Optional[str] = None,
        certfile: Optional[str] = None,
        keyfile: Optional[str] = None,
        server_hostname: Optional[str] = None,
        spool: Union[str, os.PathLike[str], None] = None,
        spool_bytes: int = DEFAULT_SPOOL_BYTES,
        mode: str = "a",
        delay: bool = False,
        permissions: Union[int, str] = DEFAULT_PERMISSIONS,
        kafka_key: Optional[str] = DEFAULT_KAFKA_KEY,
        kafka_options: Optional[Mapping[str, Any]] = None,
    ) -> None:
        options = make_options(locals())  # here the arguments, and besides them only self
        # Before logging knows of this handler: what raises here leaves nothing behind that
        # logging.shutdown would flush and close.
        level = checked_level("level", level)
        self._options = options
        # The rotating handlers set their rotation before they call this.
        self._writer_thread = WriterThread(options, getattr(self, "_rotation", None))
        # For adapters, which take the snapshot themselves: never blocks, never raises.
        self.emit_snapshot = self._writer_thread.submit
        # A default flush() that came just before close(): when it began, and when it ended.
        self._flushed = (-math.inf, -math.inf)
        self._mistakes = SilentMistakes(self)
        super().__init__(level)
        self._writer_thread.look_at_loggers = self._mistakes.doubling
        self._finalizer = weakref.finalize(self, self._writer_thread.close_soon)
        # logging.shutdown closes the handlers that are alive (older type stubs: read-only).
        self._finalizer.atexit = False  # type: ignore[misc,unused-ignore]
        living[next(_numbers)] = self

    # -- the calling threads -------------------------------------------------------------------

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit a record without taking the handler's lock.

        No caller may wait for logging.shutdown and dictConfig, which hold it while they close. A
        record that a filter returns is used on every Python, as logging does since 3.12.
        """
        try:
            verdict = self.filter(record)
            if verdict is not record:  # a subclass may return anything
                if not verdict:
                    return False
                record = verdict if isinstance(verdict, logging.LogRecord) else record
        except BaseException as error:  # noqa: BLE001 - a user's filter must not break the server
            self.handleError(record)
            pass_on(error)
            return False
        self.emit(record)
        return True

    def filter(self, record: logging.LogRecord) -> Union[Literal[False], logging.LogRecord]:  # type: ignore[override]
        """Pass over records without dns extras, then apply the handler's filters in order.

        Extras that loguru or structlog have put one level down are those of the record.
        The library's own diagnostics are passed over in any case, or each loss would make another
        record where a record factory gives dns extras to all.
        """
        values = record.__dict__
        if "dns_message_type" not in values and not has_dns_keys(values):
            lifted = lift(record)
            if lifted is None:
                level = record.levelno  # None in a record that was made by hand
                if type(level) is int and level >= logging.WARNING and record.name != LOGGER_NAME:
                    line = self._mistakes.unseen(record)
                    if line:
                        self._writer_thread.report("unseen", line)
                return False
            record = lifted
        if record.name == LOGGER_NAME:
            return False
        for each in self.filters:
            verdict = apply_filter(each, record)
            if not verdict:
                return False
            record = verdict if isinstance(verdict, logging.LogRecord) else record
        return record

    def emit(self, record: logging.LogRecord) -> None:
        """Put an immutable snapshot of the record's dns extras on the queue; never block."""
        taken = False
        try:
            extra = self._render_extra(record) if self.formatter is not None else None
            snapshot = take_snapshot(record.__dict__, record.created, extra)
            taken = True
            self._writer_thread.submit(snapshot)
        except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS server
            # What interrupts `submit` comes from outside: the record may be on the queue already.
            if not taken or isinstance(error, Exception):
                self.handleError(record)
            pass_on(error)

    def emit_payload(self, payload: Union[bytes, bytearray, memoryview]) -> bool:
        """Put a ready dnstap payload on the queue; it is written byte for byte as it is.

        For programs that pass dnstap on instead of logging it. It is looked at as little as can
        be: level, filters and formatter do not apply, nor do identity, version and full. With
        overflow="block" it waits for room, also across a reopen().

        Args:
            payload: the bytes of a data frame, without its length. Anything else is counted as
                ``invalid``.

        Returns:
            Whether it was accepted; if not, it is counted as dropped.
        """
        # A copy of what may change; of a subclass of bytes the bytes themselves.
        given = payload if type(payload) is bytes else self._copy_of(payload)
        if given is None:
            return False
        return self._writer_thread.submit((0, PAYLOAD, (given,), None, len(given)), True)

    def _copy_of(self, payload: object) -> Optional[bytes]:
        """Return the bytes of a payload, or count one that has none."""
        try:
            if isinstance(payload, (bytes, bytearray, memoryview)):
                return memoryview(payload).tobytes()
            problem = f"must be bytes, not {type_name(payload)}"
        except BaseException as error:  # noqa: BLE001 - a released view, a hostile __class__
            pass_on(error)
            problem = describe_error(error)
        text = f"record dropped (invalid): payload={shorten(payload)}: {problem}"
        self._writer_thread.refuse("invalid", text)
        return None

    def _render_extra(self, record: logging.LogRecord) -> Union[str, Unusable]:
        """Format the record for Dnstap.extra; a formatter that raises loses only that."""
        try:
            return self.format(record)
        except BaseException as error:  # noqa: BLE001 - whatever a user's formatter raises
            pass_on(error)
            return Unusable(f"the formatter raised {describe_error(error)}")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Count a record that could not be put on the queue, and report the first in a while."""
        error = sys.exc_info()[1]
        text = "unknown error" if error is None else describe_error(error)
        self._writer_thread.refuse("invalid", f"record dropped (invalid): {text}")

    # -- everybody else ------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return a snapshot of the books; cheap, and safe in any thread and signal handler."""
        return self._writer_thread.stats()

    def flush(  # type: ignore[override]  # logging's takes and returns nothing
        self, timeout: Union[float, Default, None] = DEFAULT
    ) -> bool:
        """Wait until all that was accepted before this call is written or counted as dropped.

        Args:
            timeout: seconds; None waits for ever; left out, close_timeout.

        Returns:
            Whether that was reached in time.

        Raises:
            ValueError: the timeout is negative.
        """
        started = time.monotonic()
        if timeout is None:
            return self._writer_thread.flush(math.inf)
        if not isinstance(timeout, Default):
            if not timeout >= 0:
                raise ValueError(f"timeout={timeout!r}: must be seconds, 0 or more, or None")
            return self._writer_thread.flush(started + timeout)
        flushed = self._writer_thread.flush(started + self._options.close_timeout)
        self._flushed = (started, time.monotonic())
        return flushed

    def reopen(self) -> None:
        """Begin a new session: connect again, open a file that was moved, read certificates again.

        For SIGHUP: safe in a signal handler. Revives a handler that gave up.
        """
        self._writer_thread.reopen()

    def close(self) -> None:
        """Deliver what is queued, end the stream and stop, within close_timeout.

        Whatever cannot be delivered in that time is counted as dropped. A second call does
        nothing. Records logged afterwards are counted as dropped (``closed``).
        """
        if not self._writer_thread.closed:
            self._look_at_loggers()
        now = time.monotonic()
        started, ended = self._flushed
        if now - ended > SHUTDOWN_WINDOW:
            started = now
        self._writer_thread.close(started + self._options.close_timeout)
        super().close()

    def _look_at_loggers(self) -> None:
        """Report loggers that refuse all records, or pass them twice, before this handler goes."""
        try:
            if not self.stats().logged:
                line = describe_refusal(self, logging.INFO)
                if line:
                    self._writer_thread.report("unused", f"nothing was logged: {line}")
            elif self._mistakes.look_for_doubling():
                self._writer_thread.report("twice", self._mistakes.doubling)
        except BaseException as error:  # noqa: BLE001 - loggers of another kind
            pass_on(error)

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        addresses = ", ".join(map(str, self._options.addresses))
        return f"<{type(self).__name__} {addresses} ({level})>"

    def __reduce__(self) -> NoReturn:
        refuse_copy(
            self,
            "a thread and a connection",
            "make a handler in each process that logs, or send it the records by QueueHandler",
        )


# For `adapter.direct`, which is imported only with the first adapter: they may be others then.
ORIGINALS = DnstapHandler.handle, DnstapHandler.emit, DnstapHandler.filter
deaf_kinds.add(DnstapHandler)
# All that exist, by age: `lookup` finds them.
living: weakref.WeakValueDictionary[int, DnstapHandler] = weakref.WeakValueDictionary()
_numbers = itertools.count()
