"""On what the benchmarks ran: a figure without it says little."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Dict

import google.protobuf
from google.protobuf.internal import api_implementation

import dnstap_logging

PARTS = ("dnstap-pb", "fstrm", "dnslib")


def describe() -> Dict[str, str]:
    """Return the machine and the versions, by name."""
    load = f"{os.getloadavg()[0]:.1f}"
    parts = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PARTS)
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}, load {load} before the run",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "protobuf": f"{google.protobuf.__version__} ({api_implementation.Type()})",
        "compared with": parts,
        "dnstap_logging": dnstap_logging.__version__,
        "date": datetime.date.today().isoformat(),
    }


def _cpu() -> str:
    """Return the processor's name, as Linux tells it."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or "an unknown processor"
