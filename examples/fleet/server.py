"""A DNS server of the fleet: that of the demo, with a handler that writes to Kafka.

It ends when its standard input does, delivers what it has logged, and prints its books:

    python examples/fleet/server.py ns1.example.org kafka://localhost:9092/dnstap
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Callable, Tuple

from dnstap_logging import DnstapAdapter, DnstapHandler
from dnstap_logging.cli.demo.server import DnsServer, answer

logger = logging.getLogger("dns")
logger.setLevel(logging.INFO)
logger.propagate = False


def respond(
    wire: bytes,
    send: Callable[[bytes], object],
    protocol: str,
    client: Tuple[Any, ...],
    server: Tuple[Any, ...],
) -> None:
    """Answer one query, and log both messages as they went over the wire."""
    tap = DnstapAdapter(
        logger,
        {
            "dns_socket_protocol": protocol,
            "dns_query_address": client,
            "dns_response_address": server,
            "dns_query_time": time.time_ns(),
        },
    )
    tap.client_query(wire)
    reply = answer(wire, protocol)
    if reply is not None:
        send(reply)
        tap.client_response(reply)


def main() -> None:
    """Serve until standard input ends."""
    identity, address = sys.argv[1:]
    # The numbers of the records are what ClickHouse audits.
    handler = DnstapHandler(address, identity=identity, sequence=True)
    logger.addHandler(handler)
    with DnsServer(respond, "127.0.0.1", 0) as server:
        print(server.port, flush=True)
        sys.stdin.read()
    handler.close()
    stats = handler.stats()
    books = {
        "logged": stats.logged,
        "written": stats.written,
        "dropped": sum(stats.dropped.values()),
    }
    print(json.dumps(books))


if __name__ == "__main__":
    main()
