"""What one logged query costs, beside what it cannot go below and what servers do today.

Each contender logs the same records with the same extras; the rounds alternate, so that a machine
that slows down slows all of them, and the medians are compared. CPU time is that of the whole
process, the writer thread's share included.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import google.protobuf

from dnstap_logging import DnstapHandler

WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")
EXTRA = {
    "dns_message_type": "CLIENT_QUERY",
    "dns_query_message": WIRE,
    "dns_query_address": ("192.0.2.1", 5353),
    "dns_response_address": ("192.0.2.53", 53),
    "dns_socket_protocol": "UDP",
}

Measure = Tuple[float, float]  # microseconds for a message: CPU of the process, time of the calls


class Floor(logging.Handler):
    """A handler that does nothing: nobody who uses logging can go below it."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


def make_text(folder: Path) -> logging.Handler:
    """Return the standard library's file handler, writing one line of the same data."""
    handler = logging.FileHandler(folder / "text.log")
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s %(dns_message_type)s %(dns_query_address)s %(dns_response_address)s "
            "%(dns_socket_protocol)s %(dns_query_message)s"
        )
    )
    return handler


def make_dnstap(folder: Path) -> logging.Handler:
    """Return our handler, writing a capture; "block" so that it pays for every record."""
    return DnstapHandler(folder / "capture.fstrm", mode="w", overflow="block", close_timeout=600)


CONTENDERS: Dict[str, Callable[[Path], logging.Handler]] = {
    "floor": lambda folder: Floor(),
    "text": make_text,
    "dnstap": make_dnstap,
}


def run_round(name: str, messages: int) -> Measure:
    """Log so many messages with one contender, up to the last byte written."""
    with tempfile.TemporaryDirectory() as folder:
        logger = logging.Logger("bench", logging.INFO)
        handler = CONTENDERS[name](Path(folder))
        logger.addHandler(handler)
        cpu, started = time.process_time(), time.perf_counter()
        for _ in range(messages):
            logger.info("query", extra=EXTRA)
        called = time.perf_counter() - started
        handler.close()
        cpu = time.process_time() - cpu
    return cpu / messages * 1e6, called / messages * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=main.__doc__)
    parser.add_argument("--messages", type=int, default=50000, help="messages in a round")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds")
    arguments = parser.parse_args()
    measures: Dict[str, List[Measure]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.rounds):
        for name in CONTENDERS:
            measures[name].append(run_round(name, arguments.messages))
    print(
        f"Python {platform.python_version()}, protobuf {google.protobuf.__version__}, "
        f"{arguments.rounds} rounds of {arguments.messages:,} messages, {sys.platform}"
    )
    print(f"{'':8} {'CPU us/message':>15} {'x floor':>8} {'x text':>8} {'call us':>9}")
    median = {
        name: [statistics.median(column) for column in zip(*rounds)]
        for name, rounds in measures.items()
    }
    for name, (cpu, called) in median.items():
        floor, text = median["floor"][0], median["text"][0]
        print(f"{name:8} {cpu:15.2f} {cpu / floor:8.2f} {cpu / text:8.2f} {called:9.2f}")


if __name__ == "__main__":
    main()
