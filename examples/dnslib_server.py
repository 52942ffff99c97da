"""A dnslib server with dnstap: one line of it is changed.

python examples/dnslib_server.py --address unix:///run/dnstap.sock --port 5300
dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import signal

from dnslib.server import DNSServer
from dnslib.zoneresolver import ZoneResolver

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.dnslib import DnstapLogger

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
ZONE_FILE = """
$ORIGIN example.org.
$TTL 300
@     IN SOA   ns1 hostmaster 1 3600 900 604800 300
@     IN NS    ns1
@     IN MX    10 mail
ns1   IN A     192.0.2.53
mail  IN A     192.0.2.25
www   IN A     192.0.2.80
"""


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="dnslib's ZoneResolver, with dnstap.")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP and TCP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger = logging.getLogger("dns")
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))

    resolver = ZoneResolver(ZONE_FILE)
    dns_logger = DnstapLogger(logger)  # this line was: dns_logger = DNSLogger()
    udp = DNSServer(resolver, options.host, options.port, logger=dns_logger)
    port = udp.server.server_address[1]
    tcp = DNSServer(resolver, options.host, port, tcp=True, logger=dns_logger)

    for server in (udp, tcp):
        server.server.daemon_threads = (
            False  # the end waits for the queries that are being answered
        )
        server.start_thread()
    print(f"listening on {options.host} port {port}, UDP and TCP", flush=True)
    signal.sigwait(STOP_SIGNALS)
    for server in (udp, tcp):
        server.stop()
        server.server.server_close()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
