"""A dnstap message as one line of text, for people.

Reads the question and the response code out of the DNS message without a DNS library. What is in
a message came from the network: garbage never raises, and no control character gets into a line.
Pure functions; any thread may call them.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import List, Optional

from .message import DnstapMessage, MessageType, SocketProtocol
from .names import read_name
from .values import NS

__all__ = ["format_line"]

UNKNOWN = "-"  # stands where nothing is known, so that columns keep their places
_HEADER = struct.Struct("!6H")  # RFC 1035, 4.1.1
_QUESTION = struct.Struct("!HH")  # RFC 1035, 4.1.2, after the name

# From the registry of DNS parameters at IANA; others are shown as RFC 3597 says (TYPE65280).
_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP",
    24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 37: "CERT", 39: "DNAME",
    41: "OPT", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY",
    49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS",
    60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
    99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR",
    255: "ANY", 256: "URI", 257: "CAA",
}  # fmt: skip
_CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
_OPCODES = {1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
_RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE",
}  # fmt: skip


def format_line(message: DnstapMessage) -> str:
    """Return a message as one line, every column always present.

    The columns: time (UTC), mnemonic (CQ is CLIENT_QUERY), initiator, direction, responder,
    protocol, size of the DNS message, question (name, class, type), and for responses the
    response code, as the header has it (without the extension of EDNS).
    """
    is_query = message.message_type.is_query
    own, other = message.query_message, message.response_message
    if not is_query:
        own, other = other, own
    columns = [
        _time(message),
        _mnemonic(message.message_type),
        _endpoint(message.query_address, message.query_port),
        "->" if is_query else "<-",
        _endpoint(message.response_address, message.response_port),
        _protocol(message),
        UNKNOWN if own is None else f"{len(own)}b",
        _question(other if own is None else own),
    ]
    if not is_query:
        columns.append(_rcode(own))
    return " ".join(columns)


def _mnemonic(message_type: MessageType) -> str:
    return message_type.name[0] + ("Q" if message_type.is_query else "R")


def _time(message: DnstapMessage) -> str:
    """Return the time of the message's own side, else the other's, in UTC and microseconds."""
    times = [message.query_time, message.response_time]
    if not message.message_type.is_query:
        times.reverse()
    stamp = times[1] if times[0] is None else times[0]
    if stamp is None:
        return UNKNOWN
    seconds, nanoseconds = divmod(stamp, NS)
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{day}.{nanoseconds // 1000:06d}Z"


def _endpoint(address: Optional[bytes], port: Optional[int]) -> str:
    if address is None:
        host = UNKNOWN
    elif len(address) == 4:
        host = socket.inet_ntop(socket.AF_INET, address)
    else:
        host = f"[{socket.inet_ntop(socket.AF_INET6, address)}]"
    return host if port is None else f"{host}:{port}"


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
    except (ValueError, IndexError, struct.error):
        return UNKNOWN


def _question_columns(wire: bytes) -> List[str]:
    _, flags, questions, _, _, _ = _HEADER.unpack_from(wire)
    opcode = flags >> 11 & 15
    columns = [_OPCODES.get(opcode, f"OPCODE{opcode}")] if opcode else []
    if not questions:
        return [*columns, UNKNOWN]
    name, position = read_name(wire, _HEADER.size)
    kind, network = _QUESTION.unpack_from(wire, position)
    network_name = _CLASSES.get(network, f"CLASS{network}")
    return [*columns, name, network_name, _TYPES.get(kind, f"TYPE{kind}")]


def _rcode(wire: Optional[bytes]) -> str:
    if wire is None or len(wire) < _HEADER.size:
        return UNKNOWN
    code = wire[3] & 15
    return _RCODES.get(code, f"RCODE{code}")
