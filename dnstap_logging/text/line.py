"""A dnstap message as one line of text, for people.

The question and the response code are read out of the DNS message (`dnswire/`). What is in a
message came from the network: garbage never raises, and no control character gets into a line.
Pure functions; any thread may call them.
"""

from __future__ import annotations

import socket
import time
from typing import List, Optional

from ..dnswire.message import CLASSES, OPCODES, RCODES, TYPES, read_header, read_question
from ..dnswire.names import read_name
from ..message.enums import MessageType, SocketProtocol
from ..message.message import DnstapMessage
from ..message.values import NS, unmapped

__all__ = [
    "UNKNOWN",
    "address_text",
    "format_line",
    "format_summary",
    "mnemonic",
    "own_time",
    "own_wire",
]

# The roles whose peer is the initiator of the query (dnstap.proto, Message.Type).
_SERVER_ROLES = ("AUTH", "CLIENT", "UPDATE")

UNKNOWN = "-"  # stands where nothing is known, so that columns keep their places


def format_line(message: DnstapMessage) -> str:
    """Return a message as one line, every column always present.

    The columns: time (UTC), mnemonic (CQ is CLIENT_QUERY), initiator, direction, responder,
    protocol, size of the DNS message, question (name, class, type), and for responses the
    response code, as the header has it (without the extension of EDNS).
    """
    is_query = message.message_type.is_query
    own = message.query_message if is_query else message.response_message
    columns = [
        _time(message),
        mnemonic(message.message_type),
        _endpoint(message.query_address, message.query_port),
        "->" if is_query else "<-",
        _endpoint(message.response_address, message.response_port),
        _protocol(message),
        UNKNOWN if own is None else f"{len(own)}b",
        _question(own_wire(message)),
    ]
    if not is_query:
        columns.append(_rcode(own))
    return " ".join(columns)


def format_summary(message: DnstapMessage) -> str:
    """Return what a text log says of a message: type, peer, protocol, question, response code.

    The peer is the other end of the conversation: the client of a server, the server of a client.
    """
    ends = [
        (message.query_address, message.query_port),
        (message.response_address, message.response_port),
    ]
    if message.message_type.name.split("_")[0] not in _SERVER_ROLES:
        ends.reverse()
    address, port = ends[0] if ends[0][0] is not None else ends[1]
    columns = [
        message.message_type.name,
        (UNKNOWN if address is None else address_text(address))
        + ("" if port is None else f"#{port}"),
        _protocol(message),
        _question(own_wire(message)),
    ]
    if not message.message_type.is_query:
        columns.append(_rcode(message.response_message))
    return " ".join(columns)


def mnemonic(message_type: MessageType) -> str:
    """Return the two letters of a message type: CQ is CLIENT_QUERY; of an unknown one, its name."""
    if not message_type.is_known:
        return message_type.name
    return message_type.name[0] + ("Q" if message_type.is_query else "R")


def own_time(message: DnstapMessage) -> Optional[int]:
    """Return the time of the message's own side (query or response), else the other side's."""
    own, other = message.query_time, message.response_time
    if not message.message_type & 1:  # a response; this runs for each message that is read
        own, other = other, own
    return other if own is None else own


def own_wire(message: DnstapMessage) -> Optional[bytes]:
    """Return the DNS message of the message's own side, else the other side's."""
    own, other = message.query_message, message.response_message
    if not message.message_type & 1:
        own, other = other, own
    return other if own is None else own


def _time(message: DnstapMessage) -> str:
    """Return the time of the message in UTC and microseconds."""
    stamp = own_time(message)
    if stamp is None:
        return UNKNOWN
    seconds, nanoseconds = divmod(stamp, NS)
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{day}.{nanoseconds // 1000:06d}Z"


def _endpoint(address: Optional[bytes], port: Optional[int]) -> str:
    if address is None:
        host = UNKNOWN
    else:
        text = address_text(address)
        host = f"[{text}]" if ":" in text else text
    return host if port is None else f"{host}:{port}"


def address_text(address: bytes) -> str:
    """Return an address of 4 or 16 bytes as text; an IPv4 address inside IPv6 as the former."""
    if len(address) == 16:
        address = unmapped(address)
    if len(address) == 4:
        return socket.inet_ntoa(address)
    return socket.inet_ntop(socket.AF_INET6, address)


def _protocol(message: DnstapMessage) -> str:
    protocol = message.socket_protocol
    if protocol is None:
        return UNKNOWN
    if protocol is SocketProtocol.DOH and message.http_protocol is not None:
        return f"{protocol.name}/{message.http_protocol.name}"
    return protocol.name


def _question(wire: Optional[bytes]) -> str:
    """Return name, class and type of the first question; of odd opcodes, their names before."""
    try:
        return " ".join(_question_columns(wire or b""))
    except ValueError:
        return UNKNOWN


def _question_columns(wire: bytes) -> List[str]:
    header = read_header(wire)
    opcode = header.opcode
    columns = [OPCODES.get(opcode, f"OPCODE{opcode}")] if opcode else []
    if not header.questions:
        return [*columns, UNKNOWN]
    question = read_question(wire)
    name, _ = read_name(question.name, 0)
    network = CLASSES.get(question.network, f"CLASS{question.network}")
    return [*columns, name, network, TYPES.get(question.kind, f"TYPE{question.kind}")]


def _rcode(wire: Optional[bytes]) -> str:
    """Return the response code as the header has it, without the extension of EDNS."""
    try:
        code = read_header(wire or b"").rcode
    except ValueError:
        return UNKNOWN
    return RCODES.get(code, f"RCODE{code}")
