r"""A filter in front of a DNS server: blocked names get NXDOMAIN, or no answer at all.

What the filter did is in the log as a policy of type RPZ, with the rule, the action, what it looked
at and the value that matched. UDP only, to stay short.

    python examples/rpz_filter.py --upstream 192.0.2.53 --port 5300 \
        --nxdomain '*.ads.example.net' --drop bad.example.net
    dig @127.0.0.1 -p 5300 banner.ads.example.net
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import socketserver
import threading
import time
from typing import Any, Dict, List, Optional

import dns.exception
import dns.message
import dns.name
import dns.rcode

from dnstap_logging import DnstapAdapter, DnstapHandler, Policy, PolicyAction, PolicyMatch

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
UPSTREAM_TIMEOUT = 2.0
RPZ = dns.name.from_text("rpz.example.")  # the policy zone, in which each rule has its name

logger = logging.getLogger("dns")
tap = DnstapAdapter(logger, {"dns_socket_protocol": "UDP"})
Rules = Dict[dns.name.Name, Policy]


def make_rules(names: List[str], action: str) -> Rules:
    """Return the policies of rules that do the same, by the names that they block."""
    return {
        name: Policy(type="RPZ", rule=name.relativize(dns.name.root) + RPZ, action=action)
        for name in map(dns.name.from_text, names)
    }


def find_policy(rules: Rules, name: dns.name.Name) -> Optional[Policy]:
    """Return the policy for a name: of its own rule, or of the wildcard next above it."""
    rule, above = name, name
    while rule not in rules:
        if above == dns.name.root:
            return None
        above = above.parent()
        rule = dns.name.Name(("*", *above.labels))
    return rules[rule]._replace(match=PolicyMatch.QNAME, value=name.to_wire())


class FilterHandler(socketserver.BaseRequestHandler):
    """Answers, passes on or drops one datagram."""

    def handle(self) -> None:
        """Decide by the name in the question."""
        wire, sock = self.request
        ends: Dict[str, Any] = {
            "query_address": self.client_address,
            "response_address": self.server.server_address,
            "query_time": time.time_ns(),
        }
        try:
            query = dns.message.from_wire(wire)
            name = query.question[0].name
        except (dns.exception.DNSException, IndexError):
            tap.client_query(wire, **ends)
            return
        policy = find_policy(self.server.rules, name)
        tap.client_query(wire, policy=policy, **ends)
        if policy is None:
            reply = self.ask_upstream(wire)
        elif policy.action is PolicyAction.NXDOMAIN:
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.NXDOMAIN)
            reply = response.to_wire()
        else:
            return
        if reply is not None:
            sock.sendto(reply, self.client_address)
            tap.client_response(reply, policy=policy, **ends)

    def ask_upstream(self, wire: bytes) -> Optional[bytes]:
        """Return the server's answer; None if there is none in time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.settimeout(UPSTREAM_TIMEOUT)
                sock.connect(self.server.upstream)
                sock.send(wire)
                return sock.recv(65535)
            except OSError:  # also a timeout
                return None


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A DNS filter that logs what it did.")
    parser.add_argument("--upstream", required=True, help="IPv4 address of the server to ask")
    parser.add_argument("--upstream-port", type=int, default=53, help="its port (%(default)s)")
    parser.add_argument("--nxdomain", action="append", default=[], help="name, or *.name")
    parser.add_argument("--drop", action="append", default=[], help="name, or *.name")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    with socketserver.ThreadingUDPServer((options.host, options.port), FilterHandler) as server:
        server.rules = make_rules(options.nxdomain, "NXDOMAIN")
        server.rules.update(make_rules(options.drop, "DROP"))
        server.upstream = (options.upstream, options.upstream_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("listening on {} port {}, UDP".format(*server.server_address), flush=True)
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
