"""What DNS messages hold, rendered by dnspython where it is installed (extra ``cli``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Optional, Tuple

from ..dnswire import HEADER_SIZE, Record
from ..names import read_name
from ..text_dns import DnsText, RecordText, format_dns

if TYPE_CHECKING:
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

__all__ = ["dns_text"]

KINDS_KEPT = 1024  # pairs of class and type, of which there are a few in traffic
_TO_QUESTION = b"\xc0\x0c"  # a compression pointer to behind the header (RFC 1035, 4.1.4)


@functools.cache
def dns_text() -> DnsText:
    """Return what renders a DNS message; without dnspython, header, question and EDNS."""
    record_text = _with_dnspython()
    return lambda wire: format_dns(wire, record_text)


def _with_dnspython() -> Optional[RecordText]:
    try:
        import dns.name
        import dns.rdata
    except ImportError:
        return None

    def record_text(wire: bytes, record: Record) -> str:
        try:
            if wire.startswith(_TO_QUESTION, record.start):  # nearly all; dnspython takes longer
                name, _ = read_name(wire, HEADER_SIZE)
            else:
                name = str(dns.name.from_wire(wire, record.start)[0])
            network, kind, shown, is_known = _kind(record.network, record.kind)
            size = record.end - record.data
            if not size:  # updates have records without data (RFC 2136, 2.4 and 2.5)
                text = ""
            elif is_known:
                text = _whole(dns.rdata.from_wire(network, kind, wire, record.data, size))
            else:
                # Not by from_wire, which remembers each pair of class and type that it was ever
                # asked for without knowing it, and there are 2**32 of them.
                text = _whole(dns.rdata.GenericRdata(network, kind, wire[record.data : record.end]))
            return f"{name}\t{record.ttl}\t{shown}\t{text}"
        except Exception as error:
            # dnspython's own errors, and whatever hostile records make its parsers raise
            raise ValueError(f"a record that cannot be read ({type(error).__name__})") from error

    return record_text


@functools.lru_cache(maxsize=KINDS_KEPT)
def _kind(
    network: int, kind: int
) -> Tuple[dns.rdataclass.RdataClass, dns.rdatatype.RdataType, str, bool]:
    """Return class and type as dnspython has them, as text, and whether it knows their records."""
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    of_class = dns.rdataclass.RdataClass.make(network)
    of_type = dns.rdatatype.RdataType.make(kind)
    text = f"{dns.rdataclass.to_text(of_class)}\t{dns.rdatatype.to_text(of_type)}"
    class_of: Any = dns.rdata.get_rdata_class  # it has no types
    is_known = class_of(of_class, of_type, use_generic=False) is not None
    return of_class, of_type, text, is_known


def _whole(data: dns.rdata.Rdata) -> str:
    """Return what a record holds, without spaces in keys and digests, as others print it."""
    try:
        return str(data.to_text(chunksize=0))
    except TypeError:  # of types that are never cut, in dnspython 2.7
        return str(data.to_text())
