"""`DnstapCollector`: the books of the dnstap handlers as Prometheus metrics.

Runs in the threads that scrape; reads `DnstapHandler.stats`, which waits for nothing.
"""

from __future__ import annotations

import weakref
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ..copies import refuse_copy
from ..delivery.stats import METRICS, Stats
from ..handler import DnstapHandler
from ..lookup import handlers as all_handlers
from .tap import missing

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise missing(__name__, "prometheus_client", "prometheus") from error

__all__ = ["DnstapCollector"]

LABELS = ("handler", "address")


_Collector: Any = Collector  # typed or not, as prometheus_client is installed or not


class DnstapCollector(_Collector):  # type: ignore[misc]
    """Collect the statistics of dnstap handlers: ``REGISTRY.register(DnstapCollector())``.

    The labels are the handler's name (the key in dictConfig; by default its class's name) and its
    address, the first where there are several. Of handlers that agree in both, the second is
    called ``name#2``, and so on. A gauge of its own shows which address the session is with.

    Args:
        handlers: whose statistics; they are not kept alive by it. None (default): of all that
            exist when the metrics are asked for.

    Raises:
        TypeError: it is not a iterable of dnstap handlers.
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
            # The first one for ever, or a failover would begin new series.
            key = (handler.name or type(handler).__name__, next(iter(stats.attempts)))
            seen[key] = number = seen.get(key, 0) + 1
            name = key[0] if number == 1 else f"{key[0]}#{number}"
            books.append(((name, key[1]), stats))
        return self._families(books)

    def _handlers(self) -> List[DnstapHandler]:
        if self._references is None:
            return all_handlers()
        alive = (reference() for reference in self._references)
        return [handler for handler in alive if handler is not None]

    def _families(self, books: List[Tuple[Tuple[str, str], Stats]]) -> Iterator[Metric]:
        for field, metric in METRICS.items():
            family = GaugeMetricFamily if metric.gauge else CounterMetricFamily
            by_cause = field == "dropped"
            found = family(metric.name, metric.help, labels=(*LABELS, *["cause"] * by_cause))
            for labels, stats in books:
                value = getattr(stats, field)
                counts = (
                    {(cause,): count for cause, count in value.items()} if by_cause else {(): value}
                )
                for further, count in counts.items():
                    found.add_metric((*labels, *further), count)
            yield found
        yield _addresses(books)


def _addresses(books: List[Tuple[Tuple[str, str], Stats]]) -> Metric:
    """Return the gauge that has each address in its own label."""
    found = GaugeMetricFamily(
        "dnstap_address_connected",
        "Whether the open session is with this address: 1 or 0.",
        labels=LABELS,
    )
    for (name, _), stats in books:
        for address in stats.attempts:
            found.add_metric((name, address), stats.connected and stats.address == address)
    return found


def _checked(handlers: object) -> List[DnstapHandler]:
    right = "must be an iterable of dnstap handlers, such as [handler], or None"
    if isinstance(handlers, (str, bytes, Mapping, type)) or not isinstance(handlers, Iterable):
        raise TypeError(f"handlers={handlers!r}: {right}")
    found = list(handlers)
    for handler in found:
        if not isinstance(handler, DnstapHandler):
            raise TypeError(f"handlers: {handler!r} is not a DnstapHandler: {right}")
    return found
