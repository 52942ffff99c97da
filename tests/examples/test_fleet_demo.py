"""`make fleet-demo`: what it prints, and that it leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.broker import require_broker
from tests.helpers.clickhouse import require_clickhouse
from tests.helpers.pages import REPOSITORY
from tests.helpers.programs import run_program, started_program, with_environment
from tests.helpers.support import require_program, wait_until

DEMO = REPOSITORY / "examples" / "fleet" / "demo.py"
DEADLINE = 300


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_broker()
    require_clickhouse()


def processes_in(folder: Path) -> int:
    """Return how many processes have their current folder below another."""
    found = 0
    for each in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += str(each.readlink()).startswith(str(folder))
        except OSError:
            continue  # it has ended, or is another user's
    return found


@pytest.mark.slow
def test_the_whole(tmp_path: Path) -> None:
    """It prints five tables and that nothing is missing, ends by itself and leaves nothing."""
    done = run_program(
        tmp_path,
        [sys.executable, DEMO, "--queries", "300"],
        env=with_environment(TMPDIR=str(tmp_path)),
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Messages", "The busiest names", "NXDOMAIN by client", "Latency", "Audit"):
        assert re.search(rf"(?m)^{title}.*\n *┌", done.stdout), title
    assert "1800 messages were logged, 0 dropped; 1800 arrived from 3 runs." in done.stdout
    assert done.stdout.endswith("Nothing is missing, and nothing came twice.\n")
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == 0


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C ends the servers, the broker and ClickHouse, and their folder is gone."""
    command = [sys.executable, str(DEMO), "--queries", "1000000"]
    environment = with_environment(TMPDIR=str(tmp_path))
    with started_program(tmp_path, command, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        while "servers write" not in process.stdout.readline():
            assert process.poll() is None
        assert processes_in(tmp_path) == 6
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: processes_in(tmp_path) == 0, "the end of all processes")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)


def test_make_runs_it() -> None:
    """`make fleet-demo ARGS=...` runs the demo with these arguments, in its own environment."""
    done = subprocess.run(
        [require_program("make"), "-n", "fleet-demo", "ARGS=--queries 7", "FLEET_VENV=v"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "v/bin/python examples/fleet/demo.py --queries 7"


def test_an_old_python_is_named(tmp_path: Path) -> None:
    """With a Python for which there are no wheels, it is one clear line, and nothing is made."""
    old = tmp_path / "old"
    code = "import sys; sys.version_info = (3, 9); sys.version = '3.9.1'; exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$2"\n')
    old.chmod(0o755)
    venv = tmp_path / "venv"
    done = subprocess.run(
        [require_program("make"), "fleet-demo", f"FLEET_PYTHON={old}", f"FLEET_VENV={venv}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"fleet-demo needs Python 3.10 or newer, {old} is 3.9.1; try make")
    assert not venv.exists()
