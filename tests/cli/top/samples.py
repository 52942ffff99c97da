"""Messages for the tests of top, a simple second count of them, and a sender."""

from __future__ import annotations

import array
import fcntl
import ipaddress
import logging
import ssl
import struct
import termios
from collections import Counter
from typing import Any, Dict, List, Optional

import dns.message
import dns.rdatatype

from dnstap_logging import DnstapAdapter, DnstapHandler, DnstapMessage
from dnstap_logging.codec.proto import Dnstap
from tests.cli.programs import DEADLINE

BEGIN = 1_767_261_600_000_000_000
MS = 1_000_000


def wire(name: bytes, kind: int = 1, rcode: int = 0, message_id: int = 7) -> bytes:
    """Return a DNS message with one question, its name in wire format."""
    return struct.pack(">6H", message_id, rcode, 1, 0, 0, 0) + name + struct.pack(">HH", kind, 1)


PROTOCOLS = {1: "UDP", 2: "TCP", 3: "DOT", 4: "DOH", 7: "DOQ"}
WWW = b"\3www\7example\0"


def side(kind: str, milliseconds: Optional[int] = None, **fields: Any) -> DnstapMessage:
    """Return a message of UDP between two documentation addresses, at that many milliseconds."""
    own = "query" if kind.endswith("QUERY") else "response"
    given: Dict[str, Any] = {
        "socket_protocol": "UDP",
        "query_address": "192.0.2.1",
        "query_port": 4000,
        "response_address": "192.0.2.53",
        "response_port": 53,
        f"{own}_message": wire(WWW),
    }
    if milliseconds is not None:
        given[f"{own}_time"] = BEGIN + milliseconds * MS
    given.update(fields)
    return DnstapMessage(kind, **given)


def second_count(payloads: List[bytes]) -> Dict[str, Any]:
    """Count payloads the simple way, everything kept in memory."""
    found: Dict[str, Any] = {
        name: Counter()
        for name in ("types", "rcodes", "protocols", "query_types", "names", "clients")
    }
    asked: Dict[Any, int] = {}
    times, latencies = [], []
    for payload in payloads:
        body = Dnstap.FromString(payload).message
        is_query = body.type % 2 == 1
        parsed = dns.message.from_wire(body.query_message or body.response_message)
        question = parsed.question[0]
        found["types"][body.Type.Name(body.type)] += 1
        found["protocols"][PROTOCOLS[body.socket_protocol]] += 1
        found["query_types"][dns.rdatatype.to_text(question.rdtype)] += 1
        found["names"][question.name.to_text()] += 1
        found["clients"][str(ipaddress.ip_address(body.query_address))] += 1
        key = (parsed.id, body.query_address, body.query_port, question.name, question.rdtype)
        time = (
            body.query_time_sec * 10**9 + body.query_time_nsec
            if is_query
            else body.response_time_sec * 10**9 + body.response_time_nsec
        )
        times.append(time)
        if is_query:
            asked[key] = time
        else:
            found["rcodes"][dns.rcode.to_text(parsed.rcode())] += 1
            latencies.append(time - asked.pop(key))
    return {**found, "times": times, "latencies": latencies}


def send_queries(address: str, number: int, context: Optional[ssl.SSLContext] = None) -> None:
    """Log that many queries to an address; every one arrives."""
    logger = logging.Logger("top", logging.INFO)
    handler = DnstapHandler(address, ssl_context=context)
    logger.addHandler(handler)
    tap = DnstapAdapter(logger)
    for each in range(number):
        tap.client_query(each.to_bytes(2, "big") + bytes(10), query_address=("192.0.2.1", each))
    assert handler.flush(DEADLINE)
    handler.close()
    assert handler.stats().written == number
    assert handler.stats().unconfirmed == 0


def waiting_in(pipe: Any) -> int:
    """Return how many bytes a pipe's reader has not taken yet."""
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, waiting)
    return waiting[0]
