"""A tiny DNS server that kdig asks."""

from __future__ import annotations

import socket
import threading
from typing import List

import dnslib

KDIG_NAMES = ["www.example.org.", "nothing.example.org.", "txt.example.org."]


class Zone:
    """A tiny DNS server on UDP that keeps what it was asked and what it said."""

    def __init__(self) -> None:
        self.queries: List[bytes] = []
        self.responses: List[bytes] = []
        self.clients: List[int] = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            query, client = self.sock.recvfrom(4096)
            if not query:
                return
            reply = self._answer(dnslib.DNSRecord.parse(query)).pack()
            self.queries.append(query)
            self.responses.append(reply)
            self.clients.append(client[1])
            self.sock.sendto(reply, client)

    def _answer(self, query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        reply = query.reply()
        if str(query.q.qname) == KDIG_NAMES[1]:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        else:
            reply.add_answer(*dnslib.RR.fromZone(f"{query.q.qname} 60 A 192.0.2.7"))
        return reply

    def close(self) -> None:
        """End the thread with an empty datagram."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(10)
        self.sock.close()
