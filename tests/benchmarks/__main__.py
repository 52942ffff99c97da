"""What `make bench` runs: all that the package is measured by, and the table of it.

Every figure is a ratio of two things that were measured side by side, in alternating rounds of this
run, of which the medians are taken; so a slow machine changes it little. It judges nothing by
itself: the goals stand next to the figures.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from tests.benchmarks import (
    commands,
    cost,
    dns_server,
    kinds,
    memory,
    reading,
    spool,
    steps,
    threads,
    throughput,
)
from tests.benchmarks.figures import FULL, TINY, Scale, Section
from tests.benchmarks.machine import describe
from tests.benchmarks.results import Results, as_text, save


class Benchmark(NamedTuple):
    """What measures a section, and the programs that it needs."""

    measure: Callable[[Scale], Section]
    programs: List[str]


BENCHMARKS: Dict[str, Benchmark] = {
    "cost": Benchmark(cost.measure, []),
    "kinds": Benchmark(kinds.measure, []),
    "steps": Benchmark(steps.measure, []),
    "throughput": Benchmark(throughput.measure, ["fstrm_capture"]),
    "spool": Benchmark(spool.measure, ["fstrm_capture"]),
    "server": Benchmark(dns_server.measure, ["fstrm_capture", "dnsperf"]),
    "memory": Benchmark(memory.measure, []),
    "threads": Benchmark(threads.measure, []),
    "reading": Benchmark(reading.measure, []),
    "commands": Benchmark(commands.measure, ["dnstap"]),
}
SCALES = {"usual": Scale(), "full": FULL, "tiny": TINY}


def say(line: str) -> None:
    """Print progress on standard error; standard output has the table alone."""
    print(line, file=sys.stderr, flush=True)


def run(names: List[str], scale: Scale) -> Dict[str, Section]:
    """Run these benchmarks; without those whose programs are missing, which is said."""
    sections = {}
    for name in names:
        benchmark = BENCHMARKS[name]
        missing = [program for program in benchmark.programs if shutil.which(program) is None]
        if missing:
            say(f"{name}: left out, for {' and '.join(missing)} is not installed")
            continue
        say(f"{name} ...")
        sections[name] = benchmark.measure(scale)
    return sections


def main(arguments: Optional[List[str]] = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, usage='make bench ARGS="[options] [name ...]"'
    )
    parser.add_argument("names", nargs="*", help=f"only these of {', '.join(BENCHMARKS)}")
    parser.add_argument("--full", action="store_true", help="more rounds, and 10 million messages")
    parser.add_argument("--tiny", action="store_true", help="everything once, to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"{', '.join(unknown)}: there is only {', '.join(BENCHMARKS)}")
    size = "full" if options.full else "tiny" if options.tiny else "usual"
    logging.getLogger("dnstap_logging").setLevel(logging.CRITICAL)
    machine = describe()
    sections = run(options.names or list(BENCHMARKS), SCALES[size])
    shown = " ".join([*options.names, *([] if size == "usual" else [f"--{size}"])])
    command = f'make bench ARGS="{shown}"' if shown else "make bench"
    results = Results(command, machine, sections)
    if options.json is not None:
        save(results, options.json)
    print(as_text(results))


if __name__ == "__main__":
    main()
