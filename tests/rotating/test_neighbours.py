"""Rollovers with others at work: forked children, a second writer, a program that moves files.

None of them may cost a record, or touch what is not its own.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import dnstap_logging.delivery.delivery
from dnstap_logging import RotatingDnstapHandler
from tests.helpers.programs import run_python
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced
from tests.rotating.load import backups, by_thread, log, marks


def test_two_handlers_of_one_path(capture: Path) -> None:
    """No record of either handler is lost, and every file is whole."""
    number = 400
    pair = [
        RotatingDnstapHandler(
            capture,
            maxBytes=5000,
            backupCount=1000,
            overflow="block",
            queue_size=10,
            close_timeout=60,
            reconnect_interval=0.001,
            max_reconnect_interval=0.002,
        )
        for _ in range(2)
    ]

    def work(name: int) -> None:
        for each in range(number):
            log(pair[name], each, name)
        pair[name].close()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), [handler.stats() for handler in pair]

    for handler in pair:
        assert_balanced(handler.stats())
        assert handler.stats().written == number, handler.stats()
    files = [*backups(capture), capture]
    found = by_thread(mark for path in files for mark in marks(path, tool=False))
    assert found == {name: list(range(number)) for name in range(2)}
    assert max(path.stat().st_size for path in files) < 5000


FORKING = """
import os, sys, warnings
from dnstap_logging import RotatingDnstapHandler
from tests.rotating.load import log

warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our very subject
handler = RotatingDnstapHandler(sys.argv[1], maxBytes=2000, backupCount=1000, close_timeout=60)
for number in range(100):
    log(handler, number)
child = os.fork()
for number in range(100, 200):
    log(handler, number, thread=0 if child else 1)
handler.close()
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(child)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_rolls_over_files_of_its_own(tmp_path: Path) -> None:
    """Parent and child have a row of captures each, named after their own; nothing is mixed."""
    capture = tmp_path / "capture.fstrm"
    done = run_python(FORKING, capture)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    child = tmp_path / f"capture.{done.stdout.strip()}.fstrm"

    for path, thread, numbers in ((capture, 0, range(200)), (child, 1, range(100, 200))):
        files = [*backups(path), path]
        assert len(files) > 3
        expected = [(thread, number) for number in numbers]
        assert [mark for each in files for mark in marks(each, tool=False)] == expected
    assert set(tmp_path.iterdir()) == {
        path for each in (capture, child) for path in [each, *backups(each)]
    }


def test_a_file_of_somebody_else_is_not_moved(
    capture: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What took the place of a capture that was moved away is not ours to roll over."""
    monkeypatch.setattr(
        dnstap_logging.delivery.delivery, "IDLE_INTERVAL", 3600.0
    )  # noticed by nothing else
    handler = RotatingDnstapHandler(capture, maxBytes=1, backupCount=9)
    log(handler, 1)
    assert handler.flush()
    moved = capture.with_name("moved.fstrm")
    capture.rename(moved)
    capture.write_text("somebody's notes")

    log(handler, 2)
    said.wait_for("cannot be continued")

    assert capture.read_text() == "somebody's notes"
    assert set(capture.parent.iterdir()) == {capture, moved}
    capture.unlink()
    handler.close()
    assert [marks(path) for path in (moved, capture)] == [[(0, 1)], [(0, 2)]]


OWN_RULES = """
import os, sys, warnings
from dnstap_logging import RotatingDnstapHandler
from tests.rotating.load import log

warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our very subject
handler = RotatingDnstapHandler(sys.argv[1], maxBytes=100, backupCount=9)
log(handler, 1)
assert handler.flush(30)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    handler.close()
else:
    assert handler.baseFilename == f"{sys.argv[1][:-6]}.{os.getpid()}.fstrm", handler.baseFilename
    handler.namer = lambda name: name + ".childs"
    for number in range(3):
        log(handler, number)
    handler.close()
    os._exit(0)
"""


def test_a_child_has_rules_of_its_own(capture: Path) -> None:
    """What a forked child sets holds for its file, and baseFilename is the child's."""
    done = run_python(OWN_RULES, capture)

    assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.name for path in capture.parent.iterdir() if path != capture)
    assert len(names) == 3, names
    assert [name.endswith(".childs") for name in names] == [False, True, True], names
