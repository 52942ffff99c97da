"""docs/processes.md: its signal handlers and its forked child do what it says."""

from __future__ import annotations

import signal
from pathlib import Path

from dnstap_logging import DnstapReader
from tests.docs.collector import Collector
from tests.helpers.pages import DEADLINE, DOCS, SOCKET, example, run, sections, start
from tests.helpers.support import wait_until

QUICK_START = example("logging.md", "python")
SIGNALS = example("processes.md", "python")


def test_signals_example_reopens_and_ends(tmp_path: Path, collector: Collector) -> None:
    """With the page's handlers SIGHUP begins a new session and SIGTERM loses nothing."""
    # Not signal.pause(): a signal that came just before it would wait there for the next one.
    wait = "\nhandler.flush()\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.1)\n"
    wait = "\nimport time\n" + wait
    with start(tmp_path, QUICK_START + SIGNALS + wait) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGHUP)
            stats = collector.receiver.stats
            wait_until(lambda: stats().finished == 1 and stats().connections == 2, "a new session")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, ""), said
    wait_until(lambda: stats().finished == 2, "the second session's STOP")
    assert len(collector.messages) == 2


FORK = """
import os
handler = logging.getLogger("dns").handlers[0]
handler.flush()
child = os.fork()
logging.getLogger("dns").info("query", extra={"dns_message_type": "TOOL_QUERY"})
logging.shutdown()
if not child:
    os._exit(0)
os.waitpid(child, 0)
print(child)
"""


def test_forked_child_has_the_file_of_its_own_that_the_page_names(tmp_path: Path) -> None:
    """dns.<pid>.fstrm next to dns.fstrm: each a whole stream of its own process's records."""
    assert "`dns.<pid>.fstrm` next to `dns.fstrm`" in sections(DOCS / "processes.md")["Forks"]
    ignore = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
    child = run(tmp_path, ignore + QUICK_START.replace(SOCKET, "dns.fstrm") + FORK).strip()

    for name, number in (("dns.fstrm", 3), (f"dns.{child}.fstrm", 1)):
        with DnstapReader(tmp_path / name) as reader:
            assert len(list(reader)) == number, name
            assert reader.complete, name
