"""One query that this program sends, and the response that it takes for the answer.

What the integrations for clients and forwarders have in common; above `tap.py`. Belongs to the
thread that asks, and raises nothing into it.
"""

from __future__ import annotations

import socket
from typing import Any, Dict, Optional, Tuple

from ..interrupts import pass_on
from ..message.enums import HttpProtocol, SocketProtocol
from .serving import UNSPECIFIED
from .tap import Tap, report

__all__ = ["Exchange", "ends_of"]

Ends = Tuple[Optional[Tuple[Any, ...]], Optional[Tuple[Any, ...]]]
"""The socket addresses of our end and the server's, each None if unknown."""


class Exchange:
    """Log a query when it is sent, and its response at the end.

    The response is logged by `finish`, because only the last message before the end is the answer;
    earlier ones were rejected.

    Args:
        tap: who logs.
        protocol: how the messages travel.
    """

    def __init__(self, tap: Tap, protocol: SocketProtocol) -> None:
        self._tap = tap
        self._fields: Dict[str, Any] = {"socket_protocol": protocol}
        self._answer: Optional[Tuple[bytes, int, Optional[Tuple[Any, ...]]]] = None
        self.asked = False

    def query(
        self, wire: bytes, at: int, ends: Ends, http_protocol: Optional[HttpProtocol] = None
    ) -> None:
        """Log the query, once.

        Args:
            wire: the DNS message, without the length of TCP.
            at: when it was sent, in nanoseconds since the epoch.
            ends: both ends of the socket.
            http_protocol: of DNS over HTTPS.
        """
        if self.asked:
            return
        self.asked = True
        self._fields["query_time"] = at
        self._fields["query_address"], self._fields["response_address"] = ends
        if http_protocol is not None:
            self._fields["http_protocol"] = http_protocol
        self._tap.query(wire, dict(self._fields))

    def response(
        self, wire: Optional[bytes], at: int, source: Optional[Tuple[Any, ...]] = None
    ) -> None:
        """Keep what was received; None forgets it, since it was not the answer.

        Args:
            wire: the DNS message, without the length of TCP.
            at: when it was received, in nanoseconds since the epoch.
            source: where it came from, if that may be elsewhere than where the query went.
        """
        self._answer = None if wire is None else (wire, at, source)

    def finish(self) -> None:
        """Log the response, if there was one."""
        if self._answer is None or not self.asked:
            return
        wire, at, source = self._answer
        self._answer = None
        self._fields["response_time"] = at
        if source is not None:
            self._fields["response_address"] = source
        self._tap.response(wire, self._fields)


def ends_of(sock: Any, remote: Optional[Tuple[Any, ...]] = None) -> Ends:
    """Return both ends of a socket; ask the system's routes for the address of an unbound one.

    Args:
        sock: the socket.
        remote: the server's end, where the socket is not connected to it.
    """
    try:
        remote = remote or sock.getpeername()
        local = sock.getsockname()
        if local[0] in UNSPECIFIED:
            # A UDP socket that sends from whichever address the route has: so does this one, and
            # connecting it sends nothing.
            with socket.socket(sock.family, socket.SOCK_DGRAM) as probe:
                probe.connect(remote)
                local = (probe.getsockname()[0], *local[1:])
        return local, remote
    except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS program
        pass_on(error)
        report(error)
        return None, remote
