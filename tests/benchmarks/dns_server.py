"""What logging costs a DNS server as its clients see it: queries a second, and latency.

A threaded server (`served.py`) is put under load by dnsperf on loopback: without logging, with a
logger that does nothing, with dnstap into fstrm_capture, and with a text log. Each time, the server
is a new process; it is asked as fast as it answers, and then 2,000 times a second. Every query is
logged with its response. The server has one core, dnsperf and the collector have another.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Pattern, Sequence

from tests.benchmarks.figures import AT_LEAST, Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.served import CLIENT_CORE, NAMES, keep_to
from tests.situations.interop.collectors import FstrmCapture

REPOSITORY = Path(__file__).resolve().parents[2]
VARIANTS = ("none", "hook", "dnstap", "text")

PROGRAM = ("tests.benchmarks.served",)

OUTSTANDING = 20
"""Queries that wait for an answer at once: enough to keep the server busy; with more, they only
wait longer."""

WARM_UP = 500  # queries
STEADY_RATE = 2000
"""Queries a second at which latency is measured: less than a slow machine answers."""

DEADLINE = 60  # seconds for a server to begin and to end
TIMEOUT = 2  # seconds after which dnsperf counts a query as lost
RATE = re.compile(r"Queries per second:\s+([\d.]+)")
ANSWERED = re.compile(r"Queries completed:\s+(\d+)")
LOST = re.compile(r"Queries lost:\s+(\d+)")
LATENCY = re.compile(r"^> \w+ \S+ \w+ ([\d.]+)$", re.MULTILINE)


class Server:
    """A server under load, and what dnsperf found out about it.

    Args:
        port: on loopback.
        folder: for files.

    Attributes:
        answered: the queries that it has answered.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.answered = 0
        names = folder / "queries"
        names.write_text("".join(f"{name}.example.org A\n" for name in NAMES))
        self._command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(names)]
        self._command += ["-c", "4", "-q", str(OUTSTANDING), "-t", str(TIMEOUT)]

    def ask(self, *options: object) -> str:
        """Put load on it; return what dnsperf prints."""
        done = subprocess.run(
            [*self._command, *map(str, options)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=functools.partial(keep_to, CLIENT_CORE),
        )
        self.answered += int(number(ANSWERED, done.stdout))
        return done.stdout

    def best_rate(self, seconds: float) -> Quantities:
        """Return how many queries a second it answers at most, and those not answered."""
        printed = self.ask("-l", seconds)
        return {"rate": number(RATE, printed), "lost": number(LOST, printed)}

    def latency(self, seconds: float, rate: float) -> Quantities:
        """Return the latency of its answers at a rate, in milliseconds, and those missing."""
        printed = self.ask("-l", seconds, "-Q", int(rate), "-v")
        taken = [float(each) * 1e3 for each in LATENCY.findall(printed)]
        percent = statistics.quantiles(taken, n=100)
        return {
            "mean ms": statistics.fmean(taken),
            "median ms": percent[49],
            "99 % ms": percent[98],
            "lost then": number(LOST, printed),
        }


def number(pattern: Pattern[str], printed: str) -> float:
    """Return a number that dnsperf has printed."""
    found = pattern.search(printed)
    if found is None:
        raise RuntimeError(f"dnsperf printed no {pattern.pattern}: {printed}")
    return float(found[1])


@contextlib.contextmanager
def serving(
    variant: str, folder: Path, found: Quantities, program: Sequence[str] = PROGRAM
) -> Iterator[Server]:
    """Start a server, and what it logs to; raise if it lost a record.

    Args:
        variant: of VARIANTS.
        folder: for files.
        found: gets, at the end, the server's CPU for a query, in microseconds.
        program: the module and its first arguments, before the variant and where it logs to.
    """
    with contextlib.ExitStack() as stack:
        destination = str(folder / "text.log")
        if variant == "dnstap":
            destination = f"unix://{folder}/dnstap.sock"
            stack.enter_context(FstrmCapture(destination, folder / "capture.fstrm"))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", *program, variant, destination],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        server = Server(int(process.stdout.readline()), folder)
        server.ask("-n", WARM_UP // len(NAMES))
        yield server
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=DEADLINE)
        books = json.loads(printed)
        logged = 2 * server.answered if variant == "dnstap" else 0
        if not books["logged"] == books["written"] >= logged:
            raise RuntimeError(f"{books}, where {server.answered} queries were answered")
        found["CPU us"] = books["cpu"] / server.answered * 1e6


def load(
    variant: str,
    seconds: float,
    rate: float = STEADY_RATE,
    program: Sequence[str] = PROGRAM,
) -> Quantities:
    """Put one server under load.

    Args:
        variant: of VARIANTS.
        seconds: of each load.
        rate: queries a second at which latency is measured.
        program: as of `serving`.
    """
    found: Quantities = {}
    with tempfile.TemporaryDirectory() as folder:
        with serving(variant, Path(folder), found, program) as server:
            found.update(server.best_rate(seconds))
            found.update(server.latency(seconds, rate))
    return found


def measure(scale: Scale) -> Section:
    """Measure all variants."""
    ways: Dict[str, Callable[[], Quantities]] = {
        variant: functools.partial(load, variant, scale.seconds) for variant in VARIANTS
    }
    details = alternate(ways, scale.server_rounds)
    title = (
        "a DNS server under dnsperf, on one core: queries a second at most, "
        f"and latency at {STEADY_RATE:,}"
    )
    return Section(title, figures(details), details)


def figures(details: Dict[str, Quantities]) -> List[Figure]:
    """Return the lines of the table."""
    none, hook, dnstap, text = (details[variant] for variant in VARIANTS)

    def beside(other: Quantities, quantity: str) -> float:
        return dnstap[quantity] / other[quantity]

    without, lines = "/ without logging", "/ with a text log"
    idle = "/ with hooks that do nothing"
    return [
        Figure(
            f"DNS server: queries a second {without}", beside(none, "rate"), "x", 0.92, AT_LEAST
        ),
        Figure(f"DNS server: queries a second {idle}", beside(hook, "rate")),
        Figure(f"DNS server: queries a second {lines}", beside(text, "rate")),
        Figure(f"DNS server: CPU for a query {without}", beside(none, "CPU us")),
        Figure(f"DNS server: CPU for a query {idle}", beside(hook, "CPU us")),
        Figure(f"DNS server: CPU for a query {lines}", beside(text, "CPU us")),
        Figure(f"DNS server: mean latency {without}", beside(none, "mean ms"), "x", 1.15),
        Figure(f"DNS server: 99th percentile {without}", beside(none, "99 % ms"), "x", 2),
    ]
