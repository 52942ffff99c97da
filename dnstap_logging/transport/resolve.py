"""Resolve names without blocking the writer thread for longer than allowed.

getaddrinfo cannot be interrupted, and the DNS server it asks may be the program that we log for. So
it runs in a daemon thread, which is left alone when it takes too long; then the last good answer is
used. Only one writer thread calls a `Resolver`, and the lookup's thread changes only its `_Lookup`.
"""

from __future__ import annotations

import os
import socket
import threading
from time import monotonic
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from ..exceptions import TransportError, TransportTimeout
from ..process.threads import is_writer
from .waiting import Deadline, Until

__all__ = ["AddressInfo", "Resolver", "SockAddr"]

SockAddr = Tuple[Any, ...]
AddressInfo = Tuple[int, int, int, str, SockAddr]
"""One result of getaddrinfo: family, type, protocol, canonical name, socket address."""

GetAddrInfo = Callable[..., List[Any]]

# Of a connect's time: if the DNS is silent, there must be time left to try the known addresses.
SHARE_WITH_KNOWN_ADDRESSES = 0.5

# Seconds after which a lookup is replaced by a new one: longer than all retries of resolvers.
# Doubled each time, so that lookups that hang for ever leave only a few threads in a year.
FIRST_PATIENCE = 60.0

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class _Lookup:
    """One call of getaddrinfo, in a thread of its own."""

    def __init__(self, getaddrinfo: GetAddrInfo, host: str, port: int) -> None:
        self.host_port = (host, port)
        self.process = os.getpid()
        self.started = monotonic()
        self.done = threading.Event()
        self.result: List[AddressInfo] = []
        self.error: Optional[Exception] = None
        self._getaddrinfo = getaddrinfo

    def start(self) -> None:
        """Look it up in a thread, or, at interpreter shutdown, in a writer thread itself.

        Raises:
            TransportError: no thread can be started.
        """
        thread = threading.Thread(target=self._run, name="dnstap-resolver", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Python 3.12 and newer start no thread once the interpreter shuts down. A writer
            # thread that still runs may wait for a DNS: whoever closes gives it up in time.
            if not (is_writer() and "shutdown" in str(error)):
                text = f"the name cannot be resolved now: {error}"
                raise TransportError(self.host_port[0], text) from error
            self._run()

    def _run(self) -> None:
        try:
            host, port = self.host_port
            self.result = _usable(self._getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            self.error = error
        finally:
            self.done.set()

    def wait(self, deadline: Deadline) -> bool:
        """Wait for the answer; return whether it came in time."""
        while not self.done.wait(min(deadline.remaining(), deadline.slice)):
            if not deadline.remaining():
                return self.done.is_set()
        return True


class _Known(NamedTuple):
    host_port: Tuple[str, int]
    addresses: List[AddressInfo]


class Resolver:
    """Resolve hosts, and remember the last good addresses.

    Args:
        getaddrinfo: called instead of `socket.getaddrinfo`.
    """

    def __init__(self, getaddrinfo: Optional[GetAddrInfo] = None) -> None:
        self._getaddrinfo = getaddrinfo
        self._lookup: Optional[_Lookup] = None
        self._known: Optional[_Known] = None
        self._patience = FIRST_PATIENCE

    def resolve(self, host: str, port: int, timeout: float, until: Until) -> List[AddressInfo]:
        """Return the addresses of a host, in the order in which to try them.

        Args:
            host: a name or a numeric address.
            port: the port that the socket addresses get.
            timeout: seconds that a name may take; half of that, if an answer is remembered.
            until: when to give up at the latest.

        Raises:
            TransportTimeout: no answer came in time, and none is remembered.
            TransportError: the name cannot be resolved, and no answer is remembered.
        """
        numeric = _numeric(host, port)
        if numeric:
            return numeric
        known = self._addresses_known(host, port)
        share = SHARE_WITH_KNOWN_ADDRESSES if known else 1.0
        try:
            addresses = self._look_up(host, port, Deadline(timeout * share, until))
        except TransportError:
            # Old addresses are better than none.
            if known:
                return known
            raise
        self._known = _Known((host, port), addresses)
        return addresses

    def _addresses_known(self, host: str, port: int) -> List[AddressInfo]:
        late = self._lookup
        if late is not None and late.result and late.done.is_set():
            self._known = _Known(late.host_port, late.result)
        if self._known is not None and self._known.host_port == (host, port):
            return self._known.addresses
        return []

    def _look_up(self, host: str, port: int, deadline: Deadline) -> List[AddressInfo]:
        lookup = self._lookup_under_way(host, port)
        if not lookup.wait(deadline):
            raise TransportTimeout(
                host, f"the name was not resolved {deadline.describe()}; the DNS does not answer"
            )
        self._lookup = None
        self._patience = FIRST_PATIENCE
        if lookup.error is not None:
            raise TransportError(host, _explain(lookup.error)) from lookup.error
        if not lookup.result:
            raise TransportError(host, "the name has no IPv4 or IPv6 address")
        return lookup.result

    def _lookup_under_way(self, host: str, port: int) -> _Lookup:
        """Return the lookup that still runs, or start one."""
        lookup = self._lookup
        if lookup is not None and self._may_still_answer(lookup, host, port):
            return lookup
        lookup = _Lookup(self._getaddrinfo or socket.getaddrinfo, host, port)
        lookup.start()
        self._lookup = lookup
        return lookup

    def _may_still_answer(self, lookup: _Lookup, host: str, port: int) -> bool:
        # After a fork its thread runs only in the parent.
        if lookup.host_port != (host, port) or lookup.process != os.getpid():
            return False
        if lookup.done.is_set():
            return False
        if monotonic() - lookup.started < self._patience:
            return True
        self._patience *= 2
        return False


def _numeric(host: str, port: int) -> List[AddressInfo]:
    """Return the address if the host is one, without a lookup; empty: it is a name."""
    try:
        return _usable(
            socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        )
    except (OSError, UnicodeError):
        return []


def _usable(results: List[Any]) -> List[AddressInfo]:
    addresses: List[AddressInfo] = []
    for result in results:
        if result[0] in _FAMILIES and result not in addresses:
            addresses.append(result)
    return addresses


def _explain(error: Exception) -> str:
    text = error.strerror if isinstance(error, socket.gaierror) else None
    return f"the name cannot be resolved: {text or error}"
