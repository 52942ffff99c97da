"""docs/collecting.md: its collector collects, and its limits are those of the code."""

from __future__ import annotations

import inspect
from pathlib import Path

from dnstap_logging import DnstapReceiver
from dnstap_logging.receiver import ReceiverStats
from tests.helpers.pages import DEADLINE, DOCS, SOCKET, example, run, sections, start
from tests.helpers.support import wait_until

QUICK_START = example("logging.md", "python")
COLLECTOR = example("collecting.md", "python")


def test_collector_example_collects(tmp_path: Path) -> None:
    """The small collector prints a line for each message, and its counters at the end."""
    with start(tmp_path, COLLECTOR) as process:
        try:
            wait_until((tmp_path / "dnstap.sock").exists, "the collector's socket", DEADLINE)
            sender = tmp_path / "sender"
            sender.mkdir()
            run(sender, QUICK_START.replace(SOCKET, f"unix://{tmp_path}/dnstap.sock"))
            output, said = process.communicate("\n", timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, ""), said
    prompt, query, response, stats = output.splitlines()
    assert prompt == f"collecting on unix://{tmp_path}/dnstap.sock; press Enter to end"
    assert " CQ 192.0.2.1:5353 -> 192.0.2.53:53 UDP 29b " in query
    assert " CR 192.0.2.1:5353 <- 192.0.2.53:53 UDP 29b " in response
    assert stats.startswith("ReceiverStats(connections=1, active=0, finished=1,")
    assert "messages=2" in stats


def test_limits_of_the_receiver_are_its_defaults() -> None:
    """The limits that the text names are those of DnstapReceiver."""
    text = " ".join(sections(DOCS / "collecting.md")["In Python"].split())
    parameters = inspect.signature(DnstapReceiver).parameters
    shown = {"max_frame_size": "1 MiB", "max_connections": "64", "handshake_timeout": "5 s"}

    for name, value in shown.items():
        assert f"`{name}` ({value})" in text
    defaults = {name: parameters[name].default for name in shown}
    assert defaults == {"max_frame_size": 2**20, "max_connections": 64, "handshake_timeout": 5.0}
    assert "messages" in ReceiverStats._fields
