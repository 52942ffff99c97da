"""How fast a program gets queries to a collector without losing one: over a unix socket.

The collector is fstrm_capture, another one for each contender and round. The time ends with its
FINISH, which says that it has taken everything; afterwards its capture is counted.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List

from dnstap_logging import DnstapReader
from tests.benchmarks.contenders import (
    IDENTITY,
    VERSION,
    log_by_adapter,
    log_by_info,
    logger_with,
    lossless,
)
from tests.benchmarks.figures import AT_LEAST, Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.parts import PartsHandler, SocketStream
from tests.situations.interop.collectors import FstrmCapture

Log = Callable[[logging.Logger, int], None]
MakeHandler = Callable[[Path], logging.Handler]


def make_parts(socket: Path, buffered: bool = False) -> logging.Handler:
    """Return the handler made of parts, connected."""
    return PartsHandler(SocketStream(str(socket), buffered), IDENTITY, VERSION)


def make_dnstap(socket: Path) -> logging.Handler:
    """Return our handler, which connects with the first record."""
    return lossless(f"unix://{socket}")


def send(make_handler: MakeHandler, log: Log, messages: int) -> Quantities:
    """Log that many messages into fstrm_capture; return messages a second, and CPU for each."""
    with tempfile.TemporaryDirectory() as folder:
        socket, capture = Path(folder) / "dnstap.sock", Path(folder) / "capture.fstrm"
        with FstrmCapture(f"unix://{socket}", capture) as collector:
            with logger_with(make_handler(socket)) as logger:
                cpu, started = time.process_time(), time.perf_counter()
                log(logger, messages)
                logger.handlers[0].close()
                wall, cpu = time.perf_counter() - started, time.process_time() - cpu
            collector.stop()
        check(capture, messages)
    return {"rate": messages / wall, "cpu": cpu / messages * 1e6}


def check(capture: Path, messages: int) -> None:
    """Raise if a message is missing in a capture, or one is there twice."""
    with DnstapReader(capture) as reader:
        found = sum(1 for _ in reader.frames())
    if found != messages:
        raise RuntimeError(f"{found} frames in the capture, where {messages} were logged")


def measure(scale: Scale) -> Section:
    """Measure ours and the parts."""
    ways: Dict[str, Callable[[], Quantities]] = {
        "adapter": functools.partial(send, make_dnstap, log_by_adapter, scale.messages),
        "info": functools.partial(send, make_dnstap, log_by_info, scale.messages),
        "parts": functools.partial(send, make_parts, log_by_info, scale.messages),
        "parts, buffered": functools.partial(
            send, functools.partial(make_parts, buffered=True), log_by_info, scale.messages
        ),
    }
    details = alternate(ways, scale.rounds)
    return Section(
        "lossless, over a unix socket into fstrm_capture: messages a second, microseconds of CPU",
        figures(details),
        details,
    )


def figures(details: Dict[str, Quantities]) -> List[Figure]:
    """Return the lines of the table."""
    rate = {name: found["rate"] for name, found in details.items()}
    return [
        Figure(
            "lossless over unix, adapter: rate / parts",
            rate["adapter"] / rate["parts"],
            "x",
            5,
            AT_LEAST,
        ),
        Figure(
            "lossless over unix, adapter: rate / parts, buffered",
            rate["adapter"] / rate["parts, buffered"],
        ),
        Figure("lossless over unix, logger.info: rate / parts", rate["info"] / rate["parts"]),
    ]
