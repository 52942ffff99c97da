"""What DNS messages hold, rendered by dnspython where it is installed (extra ``cli``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Optional

from ..dnswire import Record
from ..text_dns import DnsText, RecordText, format_dns

if TYPE_CHECKING:
    import dns.rdata

__all__ = ["dns_text"]


@functools.cache
def dns_text() -> DnsText:
    """Return what renders a DNS message; without dnspython, header, question and EDNS."""
    record_text = _with_dnspython()
    return lambda wire: format_dns(wire, record_text)


def _with_dnspython() -> Optional[RecordText]:
    try:
        import dns.exception
        import dns.name
        import dns.rdata
        import dns.rdataclass
        import dns.rdatatype
    except ImportError:
        return None

    def record_text(wire: bytes, record: Record) -> str:
        try:
            network_code = dns.rdataclass.RdataClass.make(record.network)
            kind_code = dns.rdatatype.RdataType.make(record.kind)
            name, _ = dns.name.from_wire(wire, record.start)
            network = dns.rdataclass.to_text(network_code)
            kind = dns.rdatatype.to_text(kind_code)
            shown = f"{name}\t{record.ttl}\t{network}\t{kind}\t"
            size = record.end - record.data
            if not size:  # of updates (RFC 2136, 2.4 and 2.5)
                return shown
            data = dns.rdata.from_wire(network_code, kind_code, wire, record.data, size)
            return shown + _whole(data)
        except Exception as error:
            # dnspython's own errors, and whatever hostile records make its parsers raise
            raise ValueError(f"a record that cannot be read ({type(error).__name__})") from error

    return record_text


def _whole(data: dns.rdata.Rdata) -> str:
    """Return what a record holds, without spaces in keys and digests, as others print it."""
    try:
        return str(data.to_text(chunksize=0))
    except TypeError:  # of types that are never cut, in dnspython 2.7
        return str(data.to_text())
