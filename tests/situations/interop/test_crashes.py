"""A collector that crashes by its own fault: the test runs once more, and not for other errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]

TESTS = """
import resource
import sys
from pathlib import Path

from tests.situations.interop.collectors import Collector

PROGRAM = '''
import os, signal, socket, sys
signal.signal(signal.SIGHUP, lambda *_: os.abort())
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    while True:
        with server.accept()[0] as peer:
            peer.sendall(bytes(4))
'''


class Fake(Collector):
    program = sys.executable

    def arguments(self):
        return ["-c", PROGRAM, self.address.partition("://")[2]]


def run(tmp_path, crashes, fails):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Path(__file__).with_name("runs").open("a") as runs:
        runs.write(f"{tmp_path.name} ")
    with Fake(f"unix://{tmp_path}/sock", tmp_path / "out") as collector:
        if crashes:
            collector.signal(1)
            collector._process.wait(20)
        assert not fails


def is_first(tmp_path):
    return tmp_path.name.endswith("0")


def test_once(tmp_path):
    run(tmp_path, is_first(tmp_path), is_first(tmp_path))


def test_twice(tmp_path):
    run(tmp_path, True, False)


def test_never(tmp_path):
    run(tmp_path, False, is_first(tmp_path))


def test_good(tmp_path):
    run(tmp_path, False, False)
"""


def test_only_a_crash_runs_a_test_once_more(tmp_path: Path) -> None:
    """Once, and the last lines say so; a second crash is a failure, and so is all else."""
    tests = tmp_path / "test_fake.py"
    tests.write_text(TESTS)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "tests.helpers.once_more"]
    options = ["-c", "/dev/null", "--rootdir", tmp_path, "-p", "no:cacheprovider", "-n", "1"]

    done = subprocess.run(
        [*command, *options, "-v", tests],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    runs = (tmp_path / "runs").read_text()
    expected = "test_once0 test_once1 test_twice0 test_twice1 test_never0 test_good0 "
    assert runs == expected, done.stdout + done.stderr
    results = re.findall(r"\] (PASSED|FAILED) \S+::(\w+)", done.stdout)
    found = [(name, result) for result, name in results]
    assert found == [
        ("test_once", "PASSED"),  # it failed the first time since the collector had gone
        ("test_twice", "FAILED"),
        ("test_never", "FAILED"),
        ("test_good", "PASSED"),
    ], done.stdout
    twice = re.findall(r"^test_fake.py::(\w+) ran twice, for", done.stdout, re.MULTILINE)
    assert twice == ["test_once", "test_twice"], done.stdout
