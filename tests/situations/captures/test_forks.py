"""Forked children: each writes to a file of its own, and never touches its parent's."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from tests.situations.captures.programs import Program, numbered, run_program
from tests.situations.captures.whole import marks_of

CHILDREN = 4
RECORDS = 500


@pytest.fixture
def pair() -> Iterator[Tuple[Program, Program]]:
    """Two programs that run at the same time."""
    with Program() as first, Program() as second:
        yield first, second


def of_child(capture: Path, child: int) -> Path:
    """Return the path of a child's capture."""
    return capture.with_name(f"{capture.stem}.{child}{capture.suffix}")


@pytest.mark.parametrize("before", [0, RECORDS])
def test_a_prefork_server(capture: Path, tmp_path: Path, before: int) -> None:
    """A parent and four children log at once: a whole stream each, with their own records only."""
    pids = tmp_path / "pids"
    run_program(
        """
        path, pids, children, before, records = *sys.argv[1:3], *map(int, sys.argv[3:])
        attach(path)
        log(*(f"before {n}" for n in range(before)))        # some may still be on their way
        start = os.pipe()

        def work(number):
            os.close(start[1])
            os.read(start[0], 1)                            # until the parent closes it, too
            log(*(f"child {number} {n}" for n in range(records)))
            handler.close()
            balanced(written=records, logged=records, queued=0)

        forked = [fork(lambda number=number: work(number)) for number in range(children)]
        os.close(start[1])
        log(*(f"parent {n}" for n in range(records)))
        reap(*forked)
        handler.close()
        balanced(written=before + records, logged=before + records)
        Path(pids).write_text(" ".join(map(str, forked)))
        """,
        capture,
        pids,
        CHILDREN,
        before,
        RECORDS,
    )

    forked = list(map(int, pids.read_text().split()))
    assert marks_of(capture) == numbered("before", before) + numbered("parent", RECORDS)
    for number, child in enumerate(forked):
        assert marks_of(of_child(capture, child)) == numbered(f"child {number}", RECORDS)
    assert len(list(tmp_path.glob("*.fstrm"))) == 1 + CHILDREN


@pytest.mark.parametrize("ending", ["os._exit(0)", "handler.close()", "sys.exit()"])
def test_a_child_that_never_logs_makes_no_file(capture: Path, tmp_path: Path, ending: str) -> None:
    """However it ends, its parent's file stays as it is, and is the only one."""
    run_program(
        """
        path, ending = sys.argv[1:]
        attach(path)
        for mark in "first", "second":
            content = Path(path).read_bytes()
            reap(fork(lambda: exec(ending)))
            assert Path(path).read_bytes() == content, mark
            log(mark)
            assert handler.flush(20)
        """,
        capture,
        ending,
    )

    assert marks_of(capture) == ["first", "second"]
    assert list(tmp_path.iterdir()) == [capture]


def test_a_grandchild_has_a_file_of_its_own(capture: Path, tmp_path: Path) -> None:
    """A child's child is named after the first file, too, and each writes what it logs itself."""
    run_program(
        """
        def grandchild():
            log("grandchild")
            handler.close()
            Path(sys.argv[2], "grandchild").write_text(str(os.getpid()))

        def child():
            log("child")
            assert handler.flush(20)
            reap(fork(grandchild))
            log("child again")
            handler.close()
            Path(sys.argv[2], "child").write_text(str(os.getpid()))

        attach(sys.argv[1])
        log("parent")
        reap(fork(child))
        """,
        capture,
        tmp_path,
    )

    child, grandchild = (int((tmp_path / name).read_text()) for name in ("child", "grandchild"))
    assert marks_of(capture) == ["parent"]
    assert marks_of(of_child(capture, child)) == ["child", "child again"]
    assert marks_of(of_child(capture, grandchild)) == ["grandchild"]


def files_of(capture: Path) -> List[Path]:
    """Return a capture and its backups, oldest first."""
    backups = list(capture.parent.glob(f"{capture.name}.*"))
    return [*sorted(backups, key=lambda path: -int(path.suffix[1:])), capture]


def test_a_child_rolls_over_by_its_own_names(capture: Path, tmp_path: Path) -> None:
    """Parent and child roll over at the same time, and neither moves or deletes what is not its."""
    run_program(
        """
        def child():
            log(*(f"child {n}" for n in range(1000)))
            handler.close()
            balanced(written=1000)
            Path(sys.argv[2]).write_text(str(os.getpid()))

        attach(sys.argv[1], kind=RotatingDnstapHandler, maxBytes=8000, backupCount=99, identity="")
        log(*(f"parent {n}" for n in range(500)))
        forked = fork(child)
        log(*(f"parent {n}" for n in range(500, 1000)))
        reap(forked)
        """,
        capture,
        tmp_path / "pid",
    )

    child = of_child(capture, int((tmp_path / "pid").read_text()))
    for path, name in (capture, "parent"), (child, "child"):
        files = files_of(path)
        assert len(files) > 5, files
        found = [mark for each in files for mark in marks_of(each)]
        assert found == numbered(name, 1000)
        sizes = [each.stat().st_size for each in files]
        assert max(sizes) < 8000, sizes


# -- the lock ----------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [True, False], ids=["used before", "not used before"])
def test_the_lock_survives_the_children(
    capture: Path, pair: Tuple[Program, Program], used: bool
) -> None:
    """Children that end, close or log do not unlock their parent's file."""
    parent, other = pair
    parent.do(f"attach({str(capture)!r})")
    if used:
        parent.do("log('one')")
        assert parent.do("handler.flush(20)")
    for work in "None", "handler.close()", "(log('child'), handler.close())", "sys.exit()":
        parent.do(f"reap(fork(lambda: {work}))")
        assert other.do(f"locked({str(capture)!r})"), work
    parent.do("log('two')")
    parent.do("handler.close()")
    assert not other.do(f"locked({str(capture)!r})")

    assert marks_of(capture) == [*(["one"] if used else []), "two"]


@contextlib.contextmanager
def child_that_stays(parent: Program) -> Iterator[None]:
    """Fork a child that only waits; at the end check that it is alive, and kill it."""
    parent.do("""
        import select
        forked = os.pipe()
        child = fork(lambda: (os.write(forked[1], b"x"), select.select([], [], [], 60)))
        assert os.read(forked[0], 1) == b"x"
        """)
    child = parent.do("child")
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("used", [True, False], ids=["used before", "not used before"])
def test_a_child_does_not_keep_the_lock(
    capture: Path, pair: Tuple[Program, Program], used: bool
) -> None:
    """Once the parent has closed, another process takes the file, though the child still lives."""
    parent, other = pair
    parent.do(f"attach({str(capture)!r})")
    if used:
        parent.do("log('parent')")
    with child_that_stays(parent):
        parent.do("handler.close()")
        assert not other.do(f"locked({str(capture)!r})")
        other.do(f"attach({str(capture)!r})")
        other.do("log('other')")
        other.do("handler.close()")

    assert marks_of(capture) == [*(["parent"] if used else []), "other"]
    assert other.said("waiting") == []


def test_a_child_does_not_keep_the_lock_of_a_killed_parent(
    capture: Path, pair: Tuple[Program, Program]
) -> None:
    """A parent that was killed could not unlock its file; nothing of its children's holds it."""
    parent, other = pair
    parent.do(f"attach({str(capture)!r})")
    parent.do("log('parent')")
    assert parent.do("handler.flush(20)")
    with child_that_stays(parent):
        parent.kill()
        assert not other.do(f"locked({str(capture)!r})")
        other.do(f"attach({str(capture)!r})")
        other.do("log('other')")
        other.do("handler.close()")

    assert marks_of(capture) == ["parent", "other"]
