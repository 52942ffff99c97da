"""The shared arguments of the handlers: checked once, at construction, by name.

A new argument is written in the signature and the docstring of `DnstapHandler`, and is one line of
`Options` with its check. Every check is called with the argument's name and value, and raises a
TypeError or ValueError that names both and says what is right.
"""

# No "from __future__ import annotations": the annotations of Options are read below.
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from .._version import __version__
from ..address import SOCKET_FORMS, Address, parse_address
from ..arguments import DEFAULT_PERMISSIONS, choice, flag, integer, permissions, refuse, seconds
from ..framestream.frames import MAX_FRAME_SIZE

if TYPE_CHECKING:
    from typing_extensions import Annotated

    from ..transport.tls import TlsOptions
else:
    from typing import Annotated

__all__ = [
    "CHECKS",
    "DEFAULT_KAFKA_KEY",
    "DEFAULT_PREFER_AFTER",
    "DEFAULT_RESEND_BYTES",
    "DEFAULT_SPOOL_BYTES",
    "FOR_FILES",
    "MIN_FRAME_SIZE",
    "NOT_FOR_KAFKA",
    "Options",
    "TLS_ARGUMENTS",
    "make_options",
]

MIN_FRAME_SIZE = 512
"""A frame below this could not hold the smallest useful messages."""

DEFAULT_RESEND_BYTES = 256 * 1024
"""What a collector leaves unread when it dies, in most cases; it costs little memory."""

DEFAULT_PREFER_AFTER = 300.0
"""Seconds: long enough for a collector that has come back to show that it stays."""

RECONNECT_CEILINGS = {"unix": 1.0, "file": 1.0, "tcp": 10.0, "tls": 10.0, "kafka": 1.0}
"""Default max_reconnect_interval in seconds: trying a local address again costs next to nothing, as
does looking at what librdkafka, which has a backoff of its own, has come to."""


FOR_FILES: Dict[str, object] = {"mode": "a", "delay": False, "permissions": DEFAULT_PERMISSIONS}
"""Arguments that only files have, with their defaults: a socket's handler refuses another value."""


KAFKA_KEYS = ("identity", "client")
DEFAULT_KAFKA_KEY = "identity"

NOT_FOR_KAFKA = ("bidirectional", "max_reconnect_interval", "max_reconnect_attempts")
"""What only Frame Streams have, or librdkafka does by itself: None is left out."""

DEFAULT_SPOOL_BYTES = 1 << 30
"""An hour at 2,000 small records a second; and no disk of a server is filled by it."""

MIN_SPOOL_BYTES = 1 << 20
"""A smaller spool would hold no more than the queue does."""


TLS_ARGUMENTS = ("ssl_context", "cafile", "certfile", "keyfile", "server_hostname")
"""The arguments that become the fields of `TlsOptions`, in their order."""


def _address(argument: str, value: Any) -> Address:
    """Return the address, or the first one of several."""
    return _addresses(argument, value)[0]


def _addresses(argument: str, value: Any) -> Tuple[Address, ...]:
    """Return all addresses: one of any kind, or a list or tuple of sockets."""
    if not isinstance(value, (list, tuple)):
        return (parse_address(value, argument=argument),)
    if not value:
        refuse(argument, value, "an address, or a list of at least one")
    found: Dict[Tuple[str, str, str, int], Address] = {}
    # By index: that is where the lists of logging.config convert what they hold.
    for index in range(len(value)):
        name, each = f"{argument}[{index}]", value[index]
        address = parse_address(each, argument=name)
        if not address.is_socket:
            refuse(name, each, f"a socket, as all addresses of a list: {SOCKET_FORMS}")
        key = (address.scheme, address.path, address.host.lower(), address.port)
        if key in found:
            refuse(name, each, "another address than those before it, and it is there twice")
        found[key] = address
    return tuple(found.values())


def _label(argument: str, value: object, default: Callable[[], str]) -> bytes:
    """Return identity or version as bytes: "" leaves the field out, None takes the default."""
    if value is None:
        value = default()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace")
    if isinstance(value, bytes):
        return value
    raise TypeError(f'{argument}={value!r}: must be str or bytes; "" leaves the field out')


def _folder(argument: str, value: Any) -> str:
    """Return the absolute path of a folder: a later chdir, of a daemon, changes nothing."""
    path = value if isinstance(value, str) else None
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{argument}={value!r}: must be the path of a folder, or None")
    try:
        usable = path and "\0" not in path and os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError(f"{argument}={value!r}: must be the path of a folder, or None")
    return os.path.abspath(path)


def _kafka_options(argument: str, value: Any) -> Dict[str, Any]:
    """Check options for librdkafka, as far as that needs no librdkafka."""
    from ..kafka.settings import check_kafka_options  # here, for other addresses need none of it

    return check_kafka_options(argument, value)


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return a check that lets None pass."""
    return lambda argument, value: None if value is None else check(argument, value)


class Options(NamedTuple):
    """One handler's arguments, complete and checked."""

    address: Annotated[Address, _address]
    identity: Annotated[bytes, partial(_label, default=lambda: socket.gethostname())]
    version: Annotated[bytes, partial(_label, default=lambda: f"dnstap_logging {__version__}")]
    full: Annotated[bool, flag]
    sequence: Annotated[bool, flag]
    queue_size: Annotated[int, partial(integer, low=1)]
    queue_bytes: Annotated[int, partial(integer, low=1)]
    overflow: Annotated[str, partial(choice, choices=("drop", "block"))]
    bidirectional: Annotated[bool, _optional(flag)]
    timeout: Annotated[float, seconds]
    resend_bytes: Annotated[int, partial(integer, low=0)]
    reconnect_interval: Annotated[float, seconds]
    max_reconnect_interval: Annotated[float, _optional(seconds)]
    max_reconnect_attempts: Annotated[
        Optional[int], _optional(partial(integer, low=0, hint=" or None"))
    ]
    prefer_after: Annotated[Optional[float], _optional(seconds)]
    close_timeout: Annotated[float, partial(seconds, zero=True)]
    max_frame_size: Annotated[int, partial(integer, low=MIN_FRAME_SIZE, high=MAX_FRAME_SIZE)]
    report_interval: Annotated[float, partial(seconds, zero=True)]
    spool: Annotated[Optional[str], _optional(_folder)]
    spool_bytes: Annotated[int, partial(integer, low=MIN_SPOOL_BYTES)]
    mode: Annotated[str, partial(choice, choices=("a", "w", "x"))]
    delay: Annotated[bool, flag]
    permissions: Annotated[int, permissions]
    kafka_key: Annotated[Optional[str], _optional(partial(choice, choices=KAFKA_KEYS))]
    kafka_options: Annotated[Optional[Mapping[str, Any]], _optional(_kafka_options)]
    tls: Optional["TlsOptions"]  # made of TLS_ARGUMENTS
    each: Tuple["Options", ...]  # where there are several addresses: the same, for each of them

    @property
    def addresses(self) -> Tuple[Address, ...]:
        """All addresses, in the order of preference."""
        return tuple(one.address for one in self.each) or (self.address,)

    @property
    def blocking(self) -> bool:
        """Whether callers wait for room on the queue."""
        return self.overflow == "block"


CHECKS: Dict[str, Callable[[str, Any], Any]] = {
    name: hint.__metadata__[0]
    for name, hint in Options.__annotations__.items()
    if hasattr(hint, "__metadata__")
}


def make_options(arguments: Mapping[str, Any]) -> Options:
    """Check the arguments of a handler; `DnstapHandler` says what each of them means.

    Args:
        arguments: by name; other names are ignored.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """
    values = {name: check(name, arguments[name]) for name, check in CHECKS.items()}
    given = Options(**values, tls=None, each=())
    addresses = _addresses("address", arguments["address"])
    _refuse_for_others(given)
    _check_kafka(given)
    _check_spool(given, addresses)
    tls = _tls(addresses, {name: arguments[name] for name in TLS_ARGUMENTS})
    ceiling = arguments["max_reconnect_interval"]
    each = tuple(_with_address(given, address, ceiling, tls) for address in addresses)
    return each[0]._replace(each=each) if len(each) > 1 else each[0]


# -- what depends on another argument ----------------------------------------------------------


def _with_address(
    given: Options, address: Address, ceiling: Optional[float], tls: Optional["TlsOptions"]
) -> Options:
    """Complete what depends on the address."""
    return given._replace(
        # As in logging: a later chdir, of a daemon, changes nothing.
        address=address._replace(path=os.path.abspath(address.path))
        if address.is_file
        else address,
        bidirectional=_direction(address, given.bidirectional),
        resend_bytes=_resend_bytes(address, given.resend_bytes),
        max_reconnect_interval=_ceiling(given, address, ceiling),
        tls=tls if address.scheme == "tls" else None,
    )


def _ceiling(given: Options, address: Address, value: Optional[float]) -> float:
    """Return max_reconnect_interval, which is never below reconnect_interval."""
    interval = given.reconnect_interval
    if value is None:
        return max(interval, RECONNECT_CEILINGS[address.scheme])
    if value < interval:
        refuse("max_reconnect_interval", value, f"at least reconnect_interval={interval:g}")
    return given.max_reconnect_interval


def _direction(address: Address, value: Optional[bool]) -> bool:
    """Return whether to shake hands: by default on every socket; never on a file."""
    if value is None:
        return address.is_socket
    if value and address.is_file:
        refuse("bidirectional", value, "left out or False for a file, which cannot answer")
    return value


def _resend_bytes(address: Address, value: int) -> int:
    """Return how much is kept to be sent again: only for a socket; elsewhere no value may be given.

    By identity: for Kafka also the value of the default is refused, if somebody gives it.
    """
    if address.is_socket:
        return value
    if value is not DEFAULT_RESEND_BYTES and (value != DEFAULT_RESEND_BYTES or not address.is_file):
        refuse("resend_bytes", value, f"left out: it is for sockets, and {_what(address)}")
    return 0


def _what(address: Address) -> str:
    """Return in a few words what an address is."""
    kinds = {"file": "is a file", "kafka": "is a topic of Kafka"}
    return f"{address} {kinds.get(address.scheme, 'is a socket')}"


def _refuse_for_others(given: Options) -> None:
    """Refuse for a socket the arguments that only files have, and the other way round."""
    if not given.address.is_socket and given.prefer_after != DEFAULT_PREFER_AFTER:
        right = f"left out: it is for several sockets, and {_what(given.address)}"
        refuse("prefer_after", given.prefer_after, right)
    if given.address.is_file:
        return
    for argument, default in FOR_FILES.items():
        if getattr(given, argument) != default:
            right = f"left out: it is for files, and {_what(given.address)}"
            refuse(argument, getattr(given, argument), right)


def _check_kafka(given: Options) -> None:
    """Refuse for Kafka what only Frame Streams have, and elsewhere what only Kafka has."""
    if given.address.scheme == "kafka":
        for argument in NOT_FOR_KAFKA:
            if getattr(given, argument) is not None:
                right = f"left out: it is for sockets, and {_what(given.address)}"
                refuse(argument, getattr(given, argument), right)
        return
    right = f"left out: it is for kafka:// addresses, and {_what(given.address)}"
    if given.kafka_key != DEFAULT_KAFKA_KEY:
        refuse("kafka_key", given.kafka_key, right)
    if given.kafka_options is not None:
        raise ValueError(f"kafka_options: must be {right}")  # not its value: it may have secrets


def _check_spool(given: Options, addresses: Tuple[Address, ...]) -> None:
    """Refuse a spool for a file, and a size without a spool."""
    if given.spool is not None and addresses[0].is_file:
        right = f"left out: it is for sockets, and {addresses[0]} is a file"
        refuse("spool", given.spool, right)
    if given.spool is None and given.spool_bytes != DEFAULT_SPOOL_BYTES:
        refuse("spool_bytes", given.spool_bytes, "left out: it is for a handler with spool")


def _tls(addresses: Tuple[Address, ...], arguments: Dict[str, Any]) -> Optional["TlsOptions"]:
    """Return the TLS options of tls:// addresses; refuse them elsewhere and in contradiction."""
    given = {name: value for name, value in arguments.items() if value is not None}
    secure = [address for address in addresses if address.scheme == "tls"]
    if not secure:
        others = ", ".join(map(str, addresses))
        for argument, value in given.items():
            refuse(argument, value, f"left out: it is for tls:// addresses, not {others}")
        return None
    if "server_hostname" in given and len(secure) > 1:
        right = "left out where several addresses are tls://: each has a name of its own"
        refuse("server_hostname", given["server_hostname"], right)
    if "ssl_context" in given:
        for argument in sorted(given.keys() & {"cafile", "certfile", "keyfile"}):
            refuse(argument, given[argument], "left out when ssl_context is given")
    from ..transport.tls import TlsOptions, check_tls  # here, for other addresses need none of it

    options = TlsOptions(*arguments.values())
    check_tls(options)
    return options
