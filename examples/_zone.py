"""The answers of several examples: a small authority for example.org, made with dnspython.

Nothing here is about dnstap.
"""

from __future__ import annotations

from typing import Optional

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

ORIGIN = dns.name.from_text("example.org.")
ZONE_FILE = """
$TTL 300
@     IN SOA   ns1 hostmaster 1 3600 900 604800 300
@     IN NS    ns1
@     IN MX    10 mail
ns1   IN A     192.0.2.53
mail  IN A     192.0.2.25
www   IN A     192.0.2.80
www   IN AAAA  2001:db8::80
"""
ZONE = dns.zone.from_text(ZONE_FILE, origin=ORIGIN, relativize=False)


def answer(wire: bytes) -> Optional[bytes]:
    """Return the answer to a query as bytes, or None for what deserves none."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    if query.flags & dns.flags.QR:
        return None
    reply = dns.message.make_response(query)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        reply.set_rcode(dns.rcode.NOTIMP)
    else:
        _look_up(query.question[0], reply)
    return reply.to_wire()


def _look_up(question: dns.rrset.RRset, reply: dns.message.Message) -> None:
    """Fill in what the zone has for a question."""
    if not question.name.is_subdomain(ORIGIN):
        reply.set_rcode(dns.rcode.REFUSED)
        return
    reply.flags |= dns.flags.AA
    found = ZONE.get_rrset(question.name, question.rdtype)
    if found is not None:
        reply.answer.append(found)
        return
    if ZONE.get_node(question.name) is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    reply.authority.append(ZONE.get_rrset(ORIGIN, dns.rdatatype.SOA))
