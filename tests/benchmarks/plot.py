"""The plots of the manual's page on performance, made from the results of a run.

python -m tests.benchmarks.plot docs/performance.json docs/images

matplotlib comes with the extra "docs" of setup.cfg. The same results give the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, List, Sequence

from tests.benchmarks.dns_server import STEADY_RATE
from tests.benchmarks.figures import Section
from tests.benchmarks.results import Results, load

COST, LATENCY = "performance-cost.svg", "performance-latency.svg"

CONTENDERS = {
    "parts": "QueueHandler,\ndnstap-pb and fstrm",
    "text": "FileHandler, a line of text",
    "info": "DnstapHandler, logger.info",
    "floor": "logger.info alone",
    "adapter": "DnstapHandler, DnstapAdapter",
}
OURS = {"info", "adapter"}
SERVERS = {"none": "no log", "dnstap": "dnstap", "text": "text log"}

QUANTITIES = {
    "median ms": "median",
    "mean ms": "mean",
    "99 % ms": "99th percentile",
}

OUR_COLOUR, OTHER_COLOUR = "#2a6f97", "#b5b5b5"
SERVER_COLOURS = {"none": OTHER_COLOUR, "dnstap": OUR_COLOUR, "text": "#c98b3c"}


def start(title: str, size: Sequence[float], columns: int = 1) -> Any:
    """Return a figure of matplotlib's, and its axes."""
    import matplotlib

    matplotlib.use("svg")
    # Identifiers and the date are random or today's otherwise.
    matplotlib.rcParams.update({"svg.hashsalt": "dnstap_logging", "font.size": 9})
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(1, columns, figsize=size, layout="constrained")
    drawing.suptitle(title, fontsize=10)
    return drawing, axes


def finish(drawing: Any, path: Path) -> None:
    """Write a figure of matplotlib's."""
    from matplotlib import pyplot

    drawing.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(drawing)


def plot_cost(section: Section, path: Path) -> None:
    """Draw the CPU time of one query for each contender."""
    names = list(CONTENDERS)
    cpu = [section.details[name]["cpu"] for name in names]
    drawing, axes = start("CPU time for a logged query, caller and writer", (7, 2.8))
    colours = [OUR_COLOUR if name in OURS else OTHER_COLOUR for name in names]
    bars = axes.barh([CONTENDERS[name] for name in names], cpu, color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("microseconds")
    axes.spines[["top", "right"]].set_visible(False)
    finish(drawing, path)


def plot_latency(section: Section, path: Path) -> None:
    """Draw the latency of a server's answers with each kind of logging."""
    title = f"Latency of a DNS server at {STEADY_RATE:,} queries a second"
    drawing, axes = start(title, (7, 2.6), len(QUANTITIES))
    for each, (quantity, title) in zip(axes, QUANTITIES.items()):
        values = [section.details[variant][quantity] for variant in SERVERS]
        colours = [SERVER_COLOURS[variant] for variant in SERVERS]
        bars = each.bar([SERVERS[variant] for variant in SERVERS], values, color=colours)
        each.bar_label(bars, fmt="%.2f", padding=2)
        each.set_title(title, fontsize=9)
        each.margins(y=0.15)
        each.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("milliseconds")
    finish(drawing, path)


def plot(results: Results, folder: Path) -> List[Path]:
    """Draw both plots; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    plot_cost(results.sections["cost"], folder / COST)
    plot_latency(results.sections["server"], folder / LATENCY)
    return [folder / COST, folder / LATENCY]


if __name__ == "__main__":
    plot(load(Path(sys.argv[1])), Path(sys.argv[2]))
