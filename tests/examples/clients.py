"""DNS clients whose sockets the tests know, and what dnstap has to show of their exchanges."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import dns.message

from dnstap_logging.codec.proto import Dnstap
from tests.examples.programs import DEADLINE, Program, read
from tests.helpers.support import capture, free_port
from tests.situations.interop.captures import dnstap_json, run_tool

End = Tuple[str, int]
LOOPBACK = "127.0.0.1"


class Exchange(NamedTuple):
    """A query and its response, as the client's socket had them.

    Attributes:
        query: the bytes that were sent, without the length of TCP.
        response: the bytes that came; None if none did.
        client: the client's end of the socket.
        server: the other end.
        protocol: as `dnstap -j` names it.
    """

    query: bytes
    response: Optional[bytes]
    client: End
    server: End
    protocol: str

    @property
    def answer(self) -> dns.message.Message:
        """The response, read by dnspython."""
        assert self.response is not None
        return dns.message.from_wire(self.response)


def make_query(name: str, kind: str = "A", **options: Any) -> bytes:
    """Return a query in wire format."""
    return dns.message.make_query(name, kind, **options).to_wire()


def ask_udp(program: Program, wire: bytes, timeout: float = DEADLINE) -> Exchange:
    """Send a query in a datagram, and wait for one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((program.host, program.port))
        sock.send(wire)
        response = None
        with contextlib.suppress(socket.timeout):
            response = sock.recv(65535)
        return Exchange(wire, response, sock.getsockname(), sock.getpeername(), "UDP")


def ask_tcp(program: Program, *wires: bytes) -> List[Exchange]:
    """Send queries on one connection, each after the response to the one before."""
    exchanges = []
    with socket.create_connection((program.host, program.port), timeout=DEADLINE) as sock:
        with sock.makefile("rb") as stream:
            for wire in wires:
                sock.sendall(len(wire).to_bytes(2, "big") + wire)
                response = stream.read(int.from_bytes(stream.read(2), "big"))
                ends = sock.getsockname(), sock.getpeername()
                exchanges.append(Exchange(wire, response, *ends, "TCP"))
    return exchanges


@contextlib.contextmanager
def doh_connection(
    program: Program, context: Optional[ssl.SSLContext] = None
) -> Iterator[http.client.HTTPConnection]:
    """Connect to a DoH endpoint."""
    where = (program.host, program.port)
    connection = (
        http.client.HTTPSConnection(*where, timeout=DEADLINE, context=context)
        if context
        else http.client.HTTPConnection(*where, timeout=DEADLINE)
    )
    with contextlib.closing(connection):
        connection.connect()
        yield connection


def ask_doh(connection: http.client.HTTPConnection, wire: bytes, method: str) -> Exchange:
    """Send a query by GET or POST (RFC 8484, 4.1)."""
    kind = {"Content-Type": "application/dns-message"}
    if method == "GET":
        text = base64.urlsafe_b64encode(wire).rstrip(b"=").decode()
        connection.request("GET", f"/dns-query?dns={text}")
    else:
        connection.request("POST", "/dns-query", wire, kind)
    ends = connection.sock.getsockname(), connection.sock.getpeername()
    with connection.getresponse() as response:
        body = response.read()
        assert (response.status, response.getheader("Content-Type")) == (200, kind["Content-Type"])
    return Exchange(wire, body, *ends, "DOH")


def dig(program: Program, *arguments: str, tcp: bool = False) -> Tuple[int, str]:
    """Ask by dig; return its port and what it printed."""
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    port = free_port(kind)
    server = [f"@{program.host}", "-p", str(program.port), "-b", f"{LOOPBACK}#{port}"]
    how = ["+tcp"] if tcp else []
    return port, run_tool("dig", *server, *how, *arguments)[0]


class Shown(NamedTuple):
    """A message that a capture has to show."""

    kind: str
    wire: Optional[bytes]
    client: End
    server: End
    protocol: str
    zone: bytes = b""

    def payload(self) -> bytes:
        """Return it as a Dnstap by protobuf alone, without times."""
        dnstap = Dnstap(type=Dnstap.MESSAGE)
        message = dnstap.message
        message.type = message.Type.Value(self.kind)
        message.socket_family = 1
        message.socket_protocol = (
            dnstap.message.DESCRIPTOR.file.enum_types_by_name["SocketProtocol"]
            .values_by_name[self.protocol]
            .number
        )
        message.query_address, message.query_port = _packed(self.client)
        message.response_address, message.response_port = _packed(self.server)
        if self.wire is not None:
            side = "query" if self.kind.endswith("QUERY") else "response"
            setattr(message, f"{side}_message", self.wire)
        if self.zone:
            message.query_zone = self.zone
        return dnstap.SerializeToString()


def pair(role: str, exchange: Exchange, zone: bytes = b"") -> List[Shown]:
    """Return what has to be shown of an exchange: its query and, if there was one, its response."""
    ends = exchange.client, exchange.server, exchange.protocol, zone
    messages = [Shown(f"{role}_QUERY", exchange.query, *ends)]
    if exchange.response is not None:
        messages.append(Shown(f"{role}_RESPONSE", exchange.response, *ends))
    return messages


def assert_shows(path: Path, expected: Sequence[Shown]) -> None:
    """Check that a capture holds these messages and no others, in any order.

    By `dnstap -j`, which has to show the same of a capture that is made by hand, and byte for byte.
    Times are compared with each other only.
    """
    by_hand = path.with_name("by-hand.fstrm")
    by_hand.write_bytes(capture(each.payload() for each in expected))
    assert _sorted_json(path) == _sorted_json(by_hand)
    found = [
        (message.message_type.name, message.query_message or message.response_message)
        for message in read(path)
    ]
    assert sorted(found, key=repr) == sorted(((e.kind, e.wire) for e in expected), key=repr)
    _assert_times(path)


def _assert_times(path: Path) -> None:
    """Check that each query has its time, and each response that and one not before it."""
    for message in read(path):
        assert message.query_time is not None, message
        if message.message_type.is_query:
            assert message.response_time is None, message
        else:
            assert message.response_time is not None, message
            assert message.response_time >= message.query_time, message


def _sorted_json(path: Path) -> List[str]:
    """Return what `dnstap -j` shows, without the times and without who wrote it."""
    lines = []
    for fields in dnstap_json(path):
        message: Dict[str, Any] = fields["message"]
        message.pop("query_time", None)
        message.pop("response_time", None)
        lines.append(json.dumps(message, sort_keys=True))
    return sorted(lines)


def _packed(end: End) -> Tuple[bytes, int]:
    return socket.inet_aton(end[0]), end[1]
