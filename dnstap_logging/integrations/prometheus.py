"""`DnstapCollector`: the books of the dnstap handlers as Prometheus metrics.

Runs in the threads that scrape; reads `DnstapHandler.stats`, which waits for nothing.
"""

from __future__ import annotations

import weakref
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from ..copies import refuse_copy
from ..delivery.stats import Stats
from ..handler import DnstapHandler
from ..handler import handlers as all_handlers
from .tap import missing

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise missing(__name__, "prometheus_client", "prometheus") from error

__all__ = ["DnstapCollector"]

LABELS = ("handler", "address")


class _Number(NamedTuple):
    """A metric that is one number of the books."""

    name: str
    help: str
    read: Callable[[Stats], float]


# Names and units as Prometheus's conventions have them; prometheus_client adds _total to counters.
_COUNTERS = (
    _Number(
        "dnstap_records_logged",
        "Log records with dns extras that reached the handler.",
        lambda stats: stats.logged,
    ),
    _Number("dnstap_records_accepted", "Records put on the queue.", lambda stats: stats.accepted),
    _Number(
        "dnstap_records_written",
        "Records handed whole to the kernel or the file.",
        lambda stats: stats.written,
    ),
    _Number(
        "dnstap_written_bytes",
        "Bytes of the frames of written records.",
        lambda stats: stats.bytes_written,
    ),
    _Number(
        "dnstap_records_resent",
        "Frames sent again on a new session.",
        lambda stats: stats.resent,
    ),
    _Number(
        "dnstap_records_confirmed",
        "Records of sessions that ended with the collector's FINISH.",
        lambda stats: stats.confirmed,
    ),
    _Number(
        "dnstap_records_unconfirmed",
        "Records written to a session that ended without FINISH.",
        lambda stats: stats.unconfirmed,
    ),
    _Number(
        "dnstap_invalid_fields",
        "Optional fields left out because their value was unusable.",
        lambda stats: stats.invalid_fields,
    ),
    _Number("dnstap_connects", "Sessions that began.", lambda stats: stats.connects),
    _Number(
        "dnstap_disconnects",
        "Sessions that ended other than by close or reopen.",
        lambda stats: stats.disconnects,
    ),
)
_GAUGES = (
    _Number("dnstap_queue_records", "Records on the queue now.", lambda stats: stats.queued),
    _Number(
        "dnstap_in_flight_records",
        "Records taken from the queue and not yet written.",
        lambda stats: stats.in_flight,
    ),
    _Number(
        "dnstap_connected", "Whether a session is open now: 1 or 0.", lambda stats: stats.connected
    ),
)
_DROPPED = _Number("dnstap_records_dropped", "Records lost, by cause.", lambda stats: 0)


_Collector: Any = Collector  # typed or not, as prometheus_client is installed or not


class DnstapCollector(_Collector):  # type: ignore[misc]
    """Collect the statistics of dnstap handlers: ``REGISTRY.register(DnstapCollector())``.

    The labels are the handler's name (the key in dictConfig; by default its class's name) and its
    address. Of handlers that agree in both, the second is called ``name#2``, and so on.

    Args:
        handlers: whose statistics; they are not kept alive by it. None (default): of all that
            exist when the metrics are asked for.

    Raises:
        TypeError: it is no iterable of dnstap handlers.
    """

    def __init__(self, handlers: Optional[Iterable[DnstapHandler]] = None) -> None:
        self._references: Optional[List[weakref.ref[DnstapHandler]]] = None
        if handlers is not None:
            self._references = [weakref.ref(handler) for handler in _checked(handlers)]

    def __reduce__(self) -> Union[str, Tuple[Any, ...]]:
        if self._references is not None:
            owns = "references to handlers of this process"
            refuse_copy(self, owns, "make a collector where the handlers are")
        return super().__reduce__()  # type: ignore[no-any-return,unused-ignore]

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without values, so that registering does not scrape."""
        return self._families([])

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now; of each handler all at one moment."""
        books = []
        seen: Dict[Tuple[str, str], int] = {}
        for handler in self._handlers():
            stats = handler.stats()
            key = (handler.name or type(handler).__name__, stats.address)
            seen[key] = number = seen.get(key, 0) + 1
            name = key[0] if number == 1 else f"{key[0]}#{number}"
            books.append(((name, stats.address), stats))
        return self._families(books)

    def _handlers(self) -> List[DnstapHandler]:
        if self._references is None:
            return all_handlers()
        alive = (reference() for reference in self._references)
        return [handler for handler in alive if handler is not None]

    def _families(self, books: List[Tuple[Tuple[str, str], Stats]]) -> Iterator[Metric]:
        for number in _COUNTERS:
            counter = CounterMetricFamily(number.name, number.help, labels=LABELS)
            for labels, stats in books:
                counter.add_metric(labels, number.read(stats))
            yield counter
        dropped = CounterMetricFamily(_DROPPED.name, _DROPPED.help, labels=(*LABELS, "cause"))
        for labels, stats in books:
            for cause, count in stats.dropped.items():
                dropped.add_metric((*labels, cause), count)
        yield dropped
        for number in _GAUGES:
            gauge = GaugeMetricFamily(number.name, number.help, labels=LABELS)
            for labels, stats in books:
                gauge.add_metric(labels, number.read(stats))
            yield gauge


def _checked(handlers: object) -> List[DnstapHandler]:
    right = "must be an iterable of dnstap handlers, such as [handler], or None"
    if isinstance(handlers, (str, bytes, Mapping, type)) or not isinstance(handlers, Iterable):
        raise TypeError(f"handlers={handlers!r}: {right}")
    found = list(handlers)
    for handler in found:
        if not isinstance(handler, DnstapHandler):
            raise TypeError(f"handlers: {handler!r} is not a DnstapHandler: {right}")
    return found
