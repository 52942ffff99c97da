"""A small dig on dnspython that logs what it asks and gets: TOOL_QUERY and TOOL_RESPONSE.

A query that gets no answer is in the log without one, and the exit status is 9, as dig's.

    python examples/resolver_tool.py @192.0.2.53 www.example.org AAAA --address queries.fstrm
    dnstap -r queries.fstrm -y
"""

from __future__ import annotations

import argparse
import logging
import sys

import dns.exception
import dns.message

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.dnspython import DnstapClient

NO_ANSWER = 9
logger = logging.getLogger("dns")


def main() -> None:
    """Ask one question, and print the answer."""
    parser = argparse.ArgumentParser(description="A small dig with dnstap.")
    parser.add_argument("server", help="IPv4 or IPv6 address of the server, @192.0.2.53")
    parser.add_argument("name", help="the name to ask for")
    parser.add_argument("type", nargs="?", default="A", help="the type of records (%(default)s)")
    parser.add_argument("--port", type=int, help="the server's port (53, with --tls 853)")
    parser.add_argument("--tcp", action="store_true", help="ask by TCP, not by UDP first")
    parser.add_argument("--tls", action="store_true", help="ask by DNS over TLS")
    parser.add_argument("--cafile", help="who signed the server's certificate (the system knows)")
    parser.add_argument("--timeout", type=float, default=2.0, help="in seconds (%(default)s)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    client = DnstapClient(logger)  # its methods are dns.query's functions
    query = dns.message.make_query(options.name, options.type, use_edns=0)
    where, timeout = options.server.lstrip("@"), options.timeout
    try:
        if options.tls:
            port, verify = options.port or 853, options.cafile or True
            answer = client.tls(query, where, timeout, port, verify=verify)
        elif options.tcp:
            answer = client.tcp(query, where, timeout, options.port or 53)
        else:
            answer, _ = client.udp_with_fallback(query, where, timeout, options.port or 53)
    except (OSError, EOFError, dns.exception.DNSException) as error:
        print(f"no answer from {where}: {error}", file=sys.stderr)
        sys.exit(NO_ANSWER)
    print(answer)
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
