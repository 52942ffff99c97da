"""What the commands take for a capture, compared with the dnstap tool, which is written in Go.

All read the same file and print to a file. What counts is the time that somebody waits, the start
of the program included. Our default line has the columns of `dnstap -q`.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.reading import write_capture

OURS = [sys.executable, "-m", "dnstap_logging"]
TOOL = "dnstap -q"
WAYS: Dict[str, List[str]] = {
    TOOL: ["dnstap", "-q", "-r"],
    "read": [*OURS, "read"],
    "check": [*OURS, "check"],
    "top --summary": [*OURS, "top", "--summary"],
}

GOALS = {"read": 2.5}
"""Of the time of the dnstap tool."""


def run(command: List[str], path: Path) -> Quantities:
    """Run a command on a capture; return the seconds that it takes."""
    with open(path.with_name("printed"), "wb") as printed:
        started = time.perf_counter()
        subprocess.run([*command, str(path)], stdout=printed, check=True)
        return {"seconds": time.perf_counter() - started}


def measure(scale: Scale) -> Section:
    """Measure all commands."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.fstrm"
        write_capture(path, scale.printed)
        ways = {name: functools.partial(run, command, path) for name, command in WAYS.items()}
        details = alternate(ways, scale.printing_rounds)
    tool = details[TOOL]["seconds"]
    figures = [
        Figure(f"{name}: time / {TOOL}", details[name]["seconds"] / tool, "x", GOALS.get(name))
        for name in WAYS
        if name != TOOL
    ]
    return Section(f"commands for {scale.printed:,} messages: seconds", figures, details)
