"""The shared arguments of the handlers: checked once, at construction, by name.

Every check raises a TypeError or ValueError that names the argument, the value and what is right.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from .._version import __version__
from ..address import Address
from ..arguments import MAX_FRAME_SIZE, choice, flag, integer, refuse, seconds
from ..arguments import permissions as permissions_of
from ..transport import DEFAULT_PERMISSIONS, TlsOptions, check_tls

if TYPE_CHECKING:
    import ssl

__all__ = ["DEFAULT_RESEND_BYTES", "Options", "make_options"]

MIN_FRAME_SIZE = 512
"""A frame below this could not hold the smallest useful messages."""

DEFAULT_RESEND_BYTES = 256 * 1024
"""What a collector may leave unread when it dies, in most cases; and no burden on anybody."""

RECONNECT_CEILINGS = {"unix": 1.0, "file": 1.0, "tcp": 10.0, "tls": 10.0}
"""Default max_reconnect_interval in seconds: trying a local address again costs next to nothing."""


class Options(NamedTuple):
    """One handler's arguments, complete and checked."""

    address: Address
    identity: bytes
    version: bytes
    full: bool
    queue_size: int
    queue_bytes: int
    blocking: bool
    bidirectional: bool
    timeout: float
    resend_bytes: int
    reconnect_interval: float
    max_reconnect_interval: float
    max_reconnect_attempts: Optional[int]
    close_timeout: float
    max_frame_size: int
    report_interval: float
    tls: Optional[TlsOptions]
    mode: str
    delay: bool
    permissions: int


def make_options(
    address: Address,
    *,
    identity: Union[str, bytes, None],
    version: Union[str, bytes, None],
    full: bool,
    queue_size: int,
    queue_bytes: int,
    overflow: str,
    bidirectional: Optional[bool],
    timeout: float,
    resend_bytes: int,
    reconnect_interval: float,
    max_reconnect_interval: Optional[float],
    max_reconnect_attempts: Optional[int],
    close_timeout: float,
    max_frame_size: int,
    report_interval: float,
    ssl_context: Optional[ssl.SSLContext],
    cafile: Optional[str],
    certfile: Optional[str],
    keyfile: Optional[str],
    server_hostname: Optional[str],
    mode: str,
    delay: bool,
    permissions: Union[int, str],
) -> Options:
    """Check the arguments of a handler; `DnstapHandler` says what each of them means.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """
    interval = seconds("reconnect_interval", reconnect_interval)
    ceiling = _ceiling(address, interval, max_reconnect_interval)
    permission_bits = permissions_of("permissions", permissions)
    _check_file_arguments(address, mode, delay, permission_bits)
    if address.is_file:  # as in logging: a later chdir, of a daemon, changes nothing
        address = address._replace(path=os.path.abspath(address.path))
    return Options(
        address=address,
        identity=_label("identity", identity, socket.gethostname),
        version=_label("version", version, lambda: f"dnstap_logging {__version__}"),
        full=flag("full", full),
        queue_size=integer("queue_size", queue_size, 1),
        queue_bytes=integer("queue_bytes", queue_bytes, 1),
        blocking=choice("overflow", overflow, ("drop", "block")) == "block",
        bidirectional=_direction(address, bidirectional),
        timeout=seconds("timeout", timeout),
        resend_bytes=_resend_bytes(address, resend_bytes),
        reconnect_interval=interval,
        max_reconnect_interval=ceiling,
        max_reconnect_attempts=None
        if max_reconnect_attempts is None
        else integer("max_reconnect_attempts", max_reconnect_attempts, 0, hint=" or None"),
        close_timeout=seconds("close_timeout", close_timeout, zero=True),
        max_frame_size=integer("max_frame_size", max_frame_size, MIN_FRAME_SIZE, MAX_FRAME_SIZE),
        report_interval=seconds("report_interval", report_interval, zero=True),
        tls=_tls(address, ssl_context, cafile, certfile, keyfile, server_hostname),
        mode=mode,
        delay=delay,
        permissions=permission_bits,
    )


def _label(argument: str, value: object, default: object) -> bytes:
    """Return identity or version as bytes: "" leaves the field out, None takes the default."""
    if value is None:
        value = default()  # type: ignore[operator]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace")
    if isinstance(value, bytes):
        return value
    raise TypeError(f'{argument}={value!r}: must be str or bytes; "" leaves the field out')


def _ceiling(address: Address, interval: float, value: Optional[float]) -> float:
    """Return max_reconnect_interval, which is never below reconnect_interval."""
    if value is None:
        return max(interval, RECONNECT_CEILINGS[address.scheme])
    ceiling = seconds("max_reconnect_interval", value)
    if ceiling < interval:
        refuse("max_reconnect_interval", value, f"at least reconnect_interval={interval:g}")
    return ceiling


def _direction(address: Address, value: Optional[bool]) -> bool:
    """Return whether to shake hands: by default on every socket; never on a file."""
    if value is None:
        return not address.is_file
    if flag("bidirectional", value) and address.is_file:
        refuse("bidirectional", value, "left out or False for a file, which cannot answer")
    return value


def _resend_bytes(address: Address, value: int) -> int:
    """Return how much is kept to be sent again: of a file, nothing, and nothing can be asked."""
    integer("resend_bytes", value, 0)
    if not address.is_file:
        return value
    if value != DEFAULT_RESEND_BYTES:
        refuse("resend_bytes", value, f"left out: it is for sockets, and {address} is a file")
    return 0


def _check_file_arguments(address: Address, mode: str, delay: bool, permissions: int) -> None:
    """Check the arguments that only files have, and refuse them for sockets."""
    choice("mode", mode, ("a", "w", "x"))
    flag("delay", delay)
    if address.is_file:
        return
    for argument, value, default in (
        ("mode", mode, "a"),
        ("delay", delay, False),
        ("permissions", permissions, DEFAULT_PERMISSIONS),
    ):
        if value != default:
            refuse(argument, value, f"left out: it is for files, and {address} is a socket")


def _tls(
    address: Address,
    ssl_context: Optional[ssl.SSLContext],
    cafile: Optional[str],
    certfile: Optional[str],
    keyfile: Optional[str],
    server_hostname: Optional[str],
) -> Optional[TlsOptions]:
    """Return the TLS options of a tls:// address; refuse them elsewhere and in contradiction."""
    given = {
        "ssl_context": ssl_context,
        "cafile": cafile,
        "certfile": certfile,
        "keyfile": keyfile,
        "server_hostname": server_hostname,
    }
    if address.scheme != "tls":
        for argument, value in given.items():
            if value is not None:
                refuse(argument, value, f"left out: it is for tls:// addresses, not {address}")
        return None
    if ssl_context is not None:
        for argument in ("cafile", "certfile", "keyfile"):
            if given[argument] is not None:
                refuse(argument, given[argument], "left out when ssl_context is given")
    options = TlsOptions(ssl_context, cafile, certfile, keyfile, server_hostname)
    check_tls(options)
    return options
