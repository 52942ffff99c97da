"""Peers of a receiver in a process of their own: a crowd of attackers, or one good client.

    python -m tests.receiver.crowd attack HOST PORT CONNECTIONS
    python -m tests.receiver.crowd good HOST PORT FIRST COUNT

The attackers make at least that many connections, and go on until their standard input ends. Each
process prints one line of JSON at its end.
"""

from __future__ import annotations

import json
import logging
import random
import resource
import socket
import ssl
import struct
import sys
import threading
from typing import Callable, Dict, Iterator, List, Tuple

from dnstap_logging import DnstapHandler
from tests.helpers.support import CONTENT_TYPE, READY, START, capture, control, data, dnstap_payload

MAX_FRAME_SIZE = 65536
"""What the receiver under attack takes."""

BATCH = 40
"""Connections that attackers of one kind hold at the same time, unless descriptors are few."""

SLOW_STREAMS = 3
"""Streams that have begun and go on byte by byte: they keep their places, so they are few."""

PAUSE = 0.01
"""Seconds between two bytes of a slow client."""

PATIENCE = 60.0
"""Seconds within which the receiver must have closed whoever says nothing."""

Attack = Callable[[List[socket.socket]], None]


def client_hello() -> bytes:
    """Return what a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


HEAD = control(START, CONTENT_TYPE)
_random = random.Random(4711)
OPENINGS: Dict[str, bytes] = {
    "oversize": HEAD + data(bytes(MAX_FRAME_SIZE + 1)),
    "4 GiB of data": HEAD + b"\xff\xff\xff\xff" + bytes(100),
    "4 GiB of control": b"\0\0\0\0\xff\xff\xff\xff" + bytes(100),
    "garbage": bytes(_random.randrange(256) for _ in range(2000)),
    "garbage in a stream": HEAD + bytes(_random.randrange(256) for _ in range(2000)),
    "not dnstap": capture([b"\xff" * 20] * 20),
    "TLS": client_hello(),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def say(opening: bytes) -> Attack:
    """Make an attack of one message, the same on every connection."""

    def attack(socks: List[socket.socket]) -> None:
        for sock in socks:
            quietly(lambda sock=sock: sock.sendall(opening))
        for sock in socks:
            quietly(lambda sock=sock: wait_for_end(sock))

    return attack


def stay_silent(socks: List[socket.socket]) -> None:
    """Say nothing until the receiver closes the connection."""
    for sock in socks:
        quietly(lambda sock=sock: wait_for_end(sock))


def drip(socks: List[socket.socket]) -> None:
    """Begin to shake hands, byte by byte, until the receiver has had enough."""
    begun = control(READY, *[CONTENT_TYPE] * 16)
    going = list(socks)
    for at in range(len(begun)):
        going = [sock for sock in going if drip_one(sock, begun[at : at + 1])]
    assert not going, "the whole of a READY at this pace, and still open"


def drip_one(sock: socket.socket, byte: bytes) -> bool:
    """Send a byte, and wait a little; False when the receiver has closed."""
    sock.settimeout(PAUSE)
    try:
        sock.sendall(byte)
        return bool(sock.recv(100))
    except socket.timeout:
        return True
    except OSError:
        return False


def drip_stream(socks: List[socket.socket]) -> None:
    """Send one message byte by byte in a stream that has begun, and break off without STOP."""
    for byte in HEAD + data(dnstap_payload(0, "TOOL_QUERY"))[:-1]:
        for sock in socks[:SLOW_STREAMS]:
            drip_one(sock, bytes((byte,)))


def reset_half_way(socks: List[socket.socket]) -> None:
    """Go away in the middle of READY, of START, of a frame: with a reset."""
    stream = control(READY, CONTENT_TYPE) + HEAD + data(dnstap_payload(0, "TOOL_QUERY"))
    for number, sock in enumerate(socks):
        part = stream[: number * 7 % len(stream)]
        quietly(lambda sock=sock, part=part: sock.sendall(part))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


ATTACKS: Dict[str, Attack] = {name: say(opening) for name, opening in OPENINGS.items()}
ATTACKS.update(
    {"silent": stay_silent, "slow": drip, "slow stream": drip_stream, "reset": reset_half_way}
)


def quietly(call: Callable[[], object]) -> None:
    """Do it; that the receiver has closed the connection already is what attackers live with.

    That it lets them wait, they do not put up with: a timeout is raised.
    """
    try:
        call()
    except ConnectionError:
        pass


def wait_for_end(sock: socket.socket) -> None:
    """Read until the receiver closes the connection."""
    sock.settimeout(PATIENCE)
    while sock.recv(4096):
        pass


class Crowd:
    """Attackers of every kind, each kind in a thread of its own.

    Args:
        where: host and port.
        connections: the least of them to be made.
    """

    def __init__(self, where: Tuple[str, int], connections: int) -> None:
        self.where = where
        self.each = connections // len(ATTACKS) + 1
        self.made = dict.fromkeys(ATTACKS, 0)
        self.errors: List[str] = []
        self.told_to_stop = threading.Event()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.batch = min(BATCH, max(1, (descriptors - 64) // len(ATTACKS)))

    def run(self) -> None:
        """Attack until standard input ends."""
        threads = [threading.Thread(target=self.attack, args=(name,)) for name in ATTACKS]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self.told_to_stop.set()
        for thread in threads:
            thread.join()

    def attack(self, name: str) -> None:
        """Attack in one way, batch after batch."""
        try:
            while self.made[name] < self.each or not self.told_to_stop.is_set():
                socks = list(self.connect())
                self.made[name] += len(socks)
                try:
                    ATTACKS[name](socks)
                finally:
                    for sock in socks:
                        sock.close()
        except Exception as error:  # noqa: BLE001 - for the test to show
            self.errors.append(f"{name}: {error!r}")

    def connect(self) -> Iterator[socket.socket]:
        """Make a batch of connections."""
        for _ in range(self.batch):
            yield socket.create_connection(self.where, PATIENCE)


def attack(where: Tuple[str, int], connections: int) -> None:
    """Be the crowd."""
    crowd = Crowd(where, connections)
    crowd.run()
    print(json.dumps({"made": crowd.made, "errors": crowd.errors}))


def send_well(where: Tuple[str, int], first: int, count: int) -> None:
    """Log numbered messages through a handler, and say what became of them."""
    handler = DnstapHandler(
        f"tcp://{where[0]}:{where[1]}",
        queue_size=count,
        max_reconnect_interval=0.5,
        close_timeout=2 * PATIENCE,
    )
    logger = logging.Logger("dns", logging.INFO)
    logger.addHandler(handler)
    for number in range(first, first + count):
        extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(12)}
        logger.info("query", extra={**extra, "dns_extra": str(number)})
    handler.close()
    stats = handler.stats()
    print(json.dumps({"written": stats.written, "dropped": sum(stats.dropped.values())}))


if __name__ == "__main__":
    kind, host, port, *numbers = sys.argv[1:]
    {"attack": attack, "good": send_well}[kind]((host, int(port)), *map(int, numbers))
