"""A capture of kdig, whose encoder is its own."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path
from typing import List

import dnslib
import pytest

from dnstap_logging.message.enums import MessageType
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import require_program


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "dns.dnstap"


class Responder:
    """A DNS server on UDP that answers everything with one address record."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.wires: List[bytes] = []
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Answer until an empty datagram comes."""
        while True:
            wire, client = self.sock.recvfrom(65535)
            if not wire:
                return
            query = dnslib.DNSRecord.parse(wire)
            reply = query.reply()
            reply.add_answer(*dnslib.RR.fromZone("www.example.org. 60 A 192.0.2.1"))
            self.wires += [wire, reply.pack()]
            self.sock.sendto(self.wires[-1], client)

    def __enter__(self) -> Responder:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(20)
        self.sock.close()


def test_a_capture_of_kdig(path: Path) -> None:
    """What kdig -E writes, in its own encoder, comes out: the same DNS bytes, both ends, times."""
    kdig = require_program("kdig")
    with Responder() as server:
        command = [kdig, "-E", str(path), "@127.0.0.1", "-p", str(server.port), "www.example.org"]
        subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)

    with DnstapReader(path) as reader:
        query, response = reader

    assert reader.complete
    assert query.message_type is MessageType.TOOL_QUERY
    assert response.message_type is MessageType.TOOL_RESPONSE
    assert [query.query_message, response.response_message] == server.wires
    assert (str(query.response_ip), query.response_port) == ("127.0.0.1", server.port)
    assert query.query_time is not None
    assert response.response_time is not None
    assert response.response_time >= query.query_time > 10**18
    assert query.version is not None
    assert b"kdig" in query.version
