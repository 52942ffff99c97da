"""What it costs a DNS server to let records gather for longer, and to encode them in slices.

    python -m tests.benchmarks.gathering --rounds 5 --seconds 4

The server (`served.py`) has one CPU for itself; dnsperf and the collector have the other, or the
figures differ by more than what is looked for. Each way is measured in each round, without logging
too: queries a second as fast as it answers, and the latency at a rate that is the same for all.
The constants are GATHER_TIME of `dnstap_logging/delivery/intake.py` and batch_records of
`dnstap_logging/delivery/destination.py`, which also ends the gathering. This program sets them in
the server's process, and has the intake there encode in slices, which the library does not do.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from itertools import product
from typing import Callable, Dict, List, Sequence

from dnstap_logging.delivery import intake
from dnstap_logging.delivery.destination import Destination
from dnstap_logging.message.snapshot import Snapshot
from tests.benchmarks import served
from tests.benchmarks.dns_server import load
from tests.benchmarks.figures import Quantities, alternate

NONE = "without logging"
COLUMNS = ("rate", "mean ms", "99 % ms")
HEADINGS = ("queries/s", "mean ms", "99 % ms")


def pin(cpu: int) -> None:
    """Have this process, and those that it starts, run on one CPU, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def ways(options: argparse.Namespace) -> Dict[str, List[str]]:
    """Return what is measured, and the server's arguments for it: its constants."""
    found = {NONE: ["0", "0", "0", "1"]}
    for number, records, batch in product(options.gather, options.slices, options.batch):
        for pause in options.pause if records else [0]:
            name = f"gather {number:g} ms"
            name += f", slices of {records}" if records else ""
            name += f", pause {pause:g} us" if pause else ""
            name += f", batch {batch}" if len(options.batch) > 1 else ""
            found[name] = [str(number / 1e3), str(records), str(pause / 1e6), str(batch)]
    return found


def measure(options: argparse.Namespace) -> Dict[str, Quantities]:
    """Measure all ways in turn; return the medians."""
    contenders: Dict[str, Callable[[], Quantities]] = {}
    for name, constants in ways(options).items():
        variant = "none" if name == NONE else "dnstap"
        program = ["tests.benchmarks.gathering", "serve", str(options.server_cpu), *constants]
        contenders[name] = functools.partial(
            load, variant, options.seconds, options.rate, tuple(program)
        )
    return alternate(contenders, options.rounds)


def table(measured: Dict[str, Quantities]) -> List[str]:
    """Return the lines of the table: each figure, and what it is of that without logging."""
    none = measured[NONE]
    lines = [f"{'':44}" + "".join(f"{each:>20}" for each in HEADINGS) + f"{'CPU us/query':>14}"]
    for name, found in measured.items():
        cells = [f"{found[each]:.2f} ({found[each] / none[each]:.3f})" for each in COLUMNS]
        lines.append(
            f"{name:44}" + "".join(f"{cell:>20}" for cell in cells) + f"{found['CPU us']:>14.1f}"
        )
    return lines


def encode_in_slices(records: int, pause: float) -> None:
    """Let other threads have the interpreter for so many seconds after so many records."""
    encode = intake.Intake._encode

    def in_slices(self: intake.Intake, batch: List[Snapshot], into: List[bytes]) -> None:
        for begin in range(0, len(batch), records):
            if begin:
                time.sleep(pause)
            encode(self, batch[begin : begin + records], into)

    intake.Intake._encode = in_slices  # type: ignore[method-assign]


def serve(cpu: str, constants: Sequence[str], variant: str, destination: str) -> None:
    """Be the server: on one CPU, with these constants."""
    gather, records, pause, batch = constants
    pin(int(cpu))
    intake.GATHER_TIME, Destination.batch_records = float(gather), int(batch)
    if int(records):
        encode_in_slices(int(records), float(pause))
    served.main(variant, destination)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gathering")
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are taken")
    parser.add_argument("--seconds", type=float, default=4, help="of each of the two loads")
    parser.add_argument("--rate", type=float, default=2000, help="queries/s, for the latency")
    parser.add_argument("--gather", type=float, nargs="+", default=[5, 20, 50], help="in ms")
    parser.add_argument("--slices", type=int, nargs="+", default=[0, 32], help="records; 0: none")
    parser.add_argument("--pause", type=float, nargs="+", default=[0, 100], help="in us")
    parser.add_argument("--batch", type=int, nargs="+", default=[256], help="records")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    options = parser.parse_args(arguments)
    pin(options.load_cpu)
    print("\n".join(table(measure(options))), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], sys.argv[3:-2], *sys.argv[-2:])
    else:
        main(sys.argv[1:])
