"""Measure the memory of long lives: ``make endurance``, ``make endurance ARGS="file reader"``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional, Sequence

from tests.situations.endurance.measure import IMPLEMENTATIONS, TOLERANCE, assert_flat
from tests.situations.endurance.workloads import WORKLOADS, Workload


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the workloads that are asked for; return 0 if the memory of all of them stays flat."""
    parser = argparse.ArgumentParser(prog="make endurance", description=__doc__)
    parser.add_argument("names", nargs="*", help="(beginnings of) names; without any, all")
    parser.add_argument("--list", action="store_true", help="print the names, and how many of what")
    parser.add_argument("--protobuf", choices=IMPLEMENTATIONS, help="with this one only")
    parser.add_argument("--share", type=float, default=1.0, help="do so much of it (default 1.0)")
    options = parser.parse_args(arguments)
    beginnings = tuple(options.names) or ""
    chosen = [each for each in WORKLOADS if each.name.startswith(beginnings)]
    if not chosen:
        parser.error(f"no workload begins with {' or '.join(options.names)}; try --list")
    if options.list:
        for each in chosen:
            print(f"{each.name:20} {each.full:,} {each.unit}")
        return 0
    print(f"the start -> after a tenth -> the end; {TOLERANCE >> 20} MB more are allowed for")
    failed = 0
    for each in chosen:
        for implementation in [options.protobuf] if options.protobuf else IMPLEMENTATIONS:
            failed += not _measure(each, implementation, options.share)
    return bool(failed)


def _measure(workload: Workload, implementation: str, share: float) -> bool:
    count = max(workload.small, round(workload.full * share))
    title = f"{workload.name:18} {implementation:7} {count:>10,} {workload.unit:9}"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = workload.measure(count, Path(folder), implementation)
            assert_flat(figures, workload.spare)
        except AssertionError as error:
            print(f"{title} FAILED: {error}", flush=True)
            return False
    print(f"{title} {figures}  {time.monotonic() - began:5.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
