"""Run scenario after scenario until the time is over, or one fails: `make chaos`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Iterator, List, Optional

from tests.situations.chaos.books import Outcome
from tests.situations.chaos.plan import Plan, make_plan
from tests.situations.chaos.scenario import disks_are_possible, make_certificates, run_scenario
from tests.situations.chaos.summary import Summary
from tests.situations.chaos.tables import DESTINATIONS, FAULTS

MOST_SHOWN = 6_000
"""Characters of one failure: one with a thousand sessions would hide all others."""


def parse_arguments(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.situations.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="begin no scenario after these")
    parser.add_argument("--seed", type=int, default=None, help="of the first; the next is one more")
    parser.add_argument("--destination", choices=DESTINATIONS, help="only this one")
    parser.add_argument("--fault", choices=FAULTS, help="in every scenario")
    parser.add_argument("--repeat", type=int, default=1, help="run each seed so often")
    parser.add_argument("--at-once", type=int, default=2, help="scenarios that run at a time")
    parser.add_argument("--keep-going", action="store_true", help="also after a failure")
    parser.add_argument("--show", action="store_true", help="print the plans, and run nothing")
    return parser.parse_args(arguments)


class Chaos:
    """Scenarios, some at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._disks = disks_are_possible()
        self._plans = self._make_plans()
        self._lock = threading.Lock()
        self._deadline = time.monotonic() + options.seconds
        self._over = False
        self.summary = Summary()

    def _make_plans(self) -> Iterator[Plan]:
        options, seed = self._options, self._options.seed
        while True:
            for _ in range(options.repeat):
                yield make_plan(seed, options.destination, options.fault, disks=self._disks)
            seed += 1

    def run(self) -> None:
        """Run them all."""
        if not self._disks:
            print("no mount namespaces here: without full disks")
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            self._certificates = make_certificates(Path(folder))
            threads = [threading.Thread(target=self._work) for _ in range(self._options.at_once)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _next(self) -> Optional[Plan]:
        """Return the next plan; None: the time is over. There is always a first one."""
        with self._lock:
            if self._over or (self.summary.begun and time.monotonic() >= self._deadline):
                repeated = self.summary.begun % self._options.repeat
                if self._over or not repeated:
                    return None
            self.summary.begun += 1
            return next(self._plans)

    def _work(self) -> None:
        while True:
            plan = self._next()
            if plan is None:
                return
            folder = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.seed}-"))
            began = time.monotonic()
            outcome = run_scenario(plan, folder, self._certificates)
            with self._lock:
                self.summary.add(plan, outcome, time.monotonic() - began)
                if outcome.failures:
                    self._show_failure(plan, outcome, folder)
                    self._over = not self._options.keep_going
            if not outcome.failures:
                shutil.rmtree(folder)

    def _show_failure(self, plan: Plan, outcome: Outcome, folder: Path) -> None:
        print(f"\nFAILED: {plan}")
        for failure in outcome.failures:
            print(f"- {failure[:MOST_SHOWN]}")
        said = folder / "said"
        if said.exists():
            print(f"the library said:\n{said.read_text()[-3000:]}")
        command = f"make chaos SECONDS=0 SEED={plan.seed}"
        options = self._options
        extra = [f"--{name} {value}" for name in ("destination", "fault")
                 if (value := getattr(options, name))]  # fmt: skip
        if extra:
            command += f" ARGS='{' '.join(extra)}'"
        print(f"all of it is in {folder}; once more: {command}\n", flush=True)


def main() -> None:
    """Do what the arguments say."""
    options = parse_arguments()
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    if options.show:
        plan = make_plan(options.seed, options.destination, options.fault)
        print(plan)
        return
    print(f"seed {options.seed}, {options.seconds:g} seconds", flush=True)
    chaos = Chaos(options)
    chaos.run()
    chaos.summary.show()
    sys.exit(1 if chaos.summary.failed else 0)


if __name__ == "__main__":
    main()
