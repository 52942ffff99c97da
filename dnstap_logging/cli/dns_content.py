"""What DNS messages hold, rendered by dnspython where it is installed (extra ``cli``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from ..dnswire.message import Record
from ..text.dns import DnsText, RecordText, format_dns

if TYPE_CHECKING:
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

__all__ = ["dns_text"]

KINDS_KEPT = 256  # pairs of class and type, of which there are a few in traffic


@functools.cache
def dns_text() -> DnsText:
    """Return what renders a DNS message; without dnspython, header, question and EDNS."""
    text_of_records = _with_dnspython()
    if text_of_records is None:
        return format_dns
    make = text_of_records
    return lambda wire: format_dns(wire, make(wire))


def _with_dnspython() -> Optional[Callable[[bytes], RecordText]]:
    """Return what makes, for one message, what renders its records."""
    try:
        import dns.rdata

        from .record_parser import MessageRecords
    except ImportError:
        return None

    def text_of_records(wire: bytes) -> RecordText:
        records = MessageRecords(wire)

        def record_text(wire: bytes, record: Record) -> str:
            try:
                name = records.owner(record)
                network, kind, shown, is_known = _kind(record.network, record.kind)
                if record.data == record.end:  # updates have such (RFC 2136, 2.4 and 2.5)
                    text = ""
                elif is_known:
                    text = _whole(records.data(network, kind, record))
                else:
                    # Not by from_wire, which remembers each pair of class and type that it was
                    # ever asked for without knowing it, and there are 2**32 of them.
                    data = wire[record.data : record.end]
                    text = _whole(dns.rdata.GenericRdata(network, kind, data))
                return f"{name}\t{record.ttl}\t{shown}\t{text}"
            except Exception as error:
                # dnspython's own errors, and whatever hostile records make its parsers raise
                kind_of = type(error).__name__
                raise ValueError(f"a record that cannot be read ({kind_of})") from error

        return record_text

    return text_of_records


@functools.lru_cache(maxsize=KINDS_KEPT)
def _kind(
    network: int, kind: int
) -> Tuple[dns.rdataclass.RdataClass, dns.rdatatype.RdataType, str, bool]:
    """Return class and type as dnspython has them, as text, and whether it knows their records."""
    import dns.rdataclass
    import dns.rdatatype

    of_class = dns.rdataclass.RdataClass.make(network)
    of_type = dns.rdatatype.RdataType.make(kind)
    shown, type_shown = dns.rdataclass.to_text(of_class), dns.rdatatype.to_text(of_type)
    # It imports a module for each pair that it does not know, which takes long: so the
    # pairs are only asked for that it may know.
    is_known = not type_shown.startswith("TYPE") and (
        _is_known(of_class, of_type)
        if not shown.startswith("CLASS")
        else _is_known(dns.rdataclass.ANY, of_type)
    )
    return of_class, of_type, f"{shown}\t{type_shown}", is_known


@functools.lru_cache(maxsize=KINDS_KEPT)
def _is_known(network: dns.rdataclass.RdataClass, kind: dns.rdatatype.RdataType) -> bool:
    import dns.rdata

    class_of: Any = dns.rdata.get_rdata_class  # it has no types
    return class_of(network, kind, use_generic=False) is not None


def _whole(data: dns.rdata.Rdata) -> str:
    """Return what a record holds, without spaces in keys and digests, as others print it."""
    try:
        return str(data.to_text(chunksize=0))
    except TypeError:  # of types that are never cut, in dnspython 2.7
        return str(data.to_text())
