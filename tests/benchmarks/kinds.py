"""What kinds of records cost beside the usual one: IPv6, a policy, a zone, new clients each time.

They are logged by `logger.info` and by the adapter, up to the last byte in a capture. A kind that
costs far more than its octets would be one that the encoder has no short way for.
"""

from __future__ import annotations

import functools
import random
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from dnstap_logging import DnstapAdapter, Policy
from tests.benchmarks.contenders import EXTRAS, logger_with, make_dnstap
from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.traffic import client

Extras = Dict[str, Any]

POLICY = Policy(type="RPZ", action="NXDOMAIN", rule=b"\x03bad\x07example\x00")
SERVER6 = ("2001:db8::53", 53)
ZONE = b"\x07example\x03org\x00"

_source = random.Random(0)


def _ipv6(extra: Extras) -> Extras:
    host = f"2001:db8::{_source.randint(1, 200):x}:{_source.randint(1, 200):x}"
    return {
        **extra,
        "dns_query_address": (host, _source.randint(1024, 65535)),
        "dns_response_address": SERVER6,
    }


KINDS: Dict[str, Callable[[Extras], Extras]] = {
    "usual": lambda extra: extra,
    "a new client each time": lambda extra: {**extra, "dns_query_address": client(_source)},
    "IPv6": _ipv6,
    "policy": lambda extra: {**extra, "dns_policy": POLICY},
    "zone": lambda extra: {**extra, "dns_query_zone": ZONE},
}
USUAL = "usual"
TYPE = "dns_message_type"


def records(kind: str, count: int) -> List[Extras]:
    """Return the extras of so many records of a kind."""
    change = KINDS[kind]
    return [change(EXTRAS[number % len(EXTRAS)]) for number in range(count)]


def by_info(logger: Any, extras: List[Extras]) -> None:
    """Log them with `logger.info`."""
    for extra in extras:
        logger.info("query", extra=extra)


def by_adapter(logger: Any, extras: List[Extras]) -> None:
    """Log them with an adapter, which takes the same fields as keywords."""
    client_query = DnstapAdapter(logger).client_query
    for extra in extras:
        client_query(**{key[4:]: value for key, value in extra.items() if key != TYPE})


WAYS = {"info": by_info, "adapter": by_adapter}


def cost_of(kind: str, messages: int) -> Quantities:
    """Log records of a kind in both ways; return microseconds of CPU for each."""
    found = {}
    for way, log in WAYS.items():
        extras = records(kind, messages)
        with tempfile.TemporaryDirectory() as folder:
            with logger_with(make_dnstap(Path(folder))) as logger:
                cpu = time.process_time()
                log(logger, extras)
                logger.handlers[0].close()
                found[way] = (time.process_time() - cpu) / messages * 1e6
    return found


def measure(scale: Scale) -> Section:
    """Measure all kinds."""
    details = alternate(
        {kind: functools.partial(cost_of, kind, scale.messages) for kind in KINDS}, scale.rounds
    )
    usual = details[USUAL]
    figures = [
        Figure(f"logger.info, {kind}: CPU / usual", found["info"] / usual["info"])
        for kind, found in details.items()
        if kind != USUAL
    ]
    return Section("kinds of records, to a file: microseconds of CPU", figures, details)
