"""A preforking DNS server: workers that share one UDP socket, each with its own dnstap stream.

The handler is made once, before the fork. With a worker's first message it opens the worker's own
connection, or its own file: dns.<pid>.fstrm next to dns.fstrm.

    python examples/prefork_server.py --workers 4 --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import time

from _zone import answer

from dnstap_logging import DnstapAdapter, DnstapHandler

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
LOOK_INTERVAL = 0.2  # seconds after which an idle worker looks for its end
logger = logging.getLogger("dns")


def serve(sock: socket.socket, parent: int) -> None:
    """Answer queries until a signal comes, or the parent is gone."""
    tap = DnstapAdapter(
        logger, {"dns_socket_protocol": "UDP", "dns_response_address": sock.getsockname()}
    )
    sock.settimeout(LOOK_INTERVAL)
    while not signal.sigpending() & STOP_SIGNALS and os.getppid() == parent:
        try:
            wire, client = sock.recvfrom(65535)
        except socket.timeout:
            continue
        received = time.time_ns()
        tap.client_query(wire, query_address=client, query_time=received)
        reply = answer(wire)
        if reply is not None:
            sock.sendto(reply, client)
            tap.client_response(reply, query_address=client, query_time=received)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A preforking DNS server with dnstap.")
    parser.add_argument("--workers", type=int, default=2, help="how many (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked in the workers too: a signal waits until the query at hand is answered.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((options.host, options.port))
        parent, workers = os.getpid(), []
        for _ in range(options.workers):
            pid = os.fork()
            if pid == 0:
                serve(sock, parent)
                # An end like any other: logging closes the handler, which delivers what is queued.
                # A worker that ends by os._exit() has to call logging.shutdown() before.
                return
            workers.append(pid)
        print("listening on {} port {}, UDP".format(*sock.getsockname()), flush=True)
        signal.sigwait(STOP_SIGNALS)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
