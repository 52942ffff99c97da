"""Who may read the files that commands write: those who may read captures."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Callable, Dict

import pytest

from tests.cli.programs import Listener, run
from tests.cli.samples import query, response, write

UMASKS = (0o000, 0o022, 0o077)


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def listen(folder: Path) -> Path:
    """Collect into a capture."""
    with Listener(folder, f"unix://{folder}/tap.sock", "--write", "out") as listener:
        assert listener.end() == 0
    return folder / "out"


def roll_over(folder: Path) -> Path:
    """Collect into a capture that rolls over, and return the one that was moved away."""
    arguments = ("--write", "out", "--max-bytes", 150, "--backup-count", 3)
    with Listener(folder, f"unix://{folder}/tap.sock", *arguments) as listener:
        assert run(folder, "send", "in.fstrm", listener.addresses[0]).returncode == 0
        assert listener.end() == 0
    return folder / "out.1"


def repair(folder: Path) -> Path:
    """Repair a capture."""
    assert run(folder, "check", "--repair", "out", "in.fstrm").returncode == 0
    return folder / "out"


def report(folder: Path) -> Path:
    """Write the page of a capture."""
    assert run(folder, "top", "--summary", "--report", "out", "in.fstrm").returncode == 0
    return folder / "out"


def parquet(folder: Path) -> Path:
    """Make a Parquet file of a capture."""
    pytest.importorskip("pyarrow")
    assert run(folder, "read", "--parquet", "out", "in.fstrm").returncode == 0
    return folder / "out"


def protobuf(folder: Path) -> Path:
    """Write the messages of a capture with their lengths."""
    assert run(folder, "read", "--protobuf", "out", "in.fstrm").returncode == 0
    return folder / "out"


def demo(folder: Path) -> Path:
    """Run the demo."""
    pytest.importorskip("dnslib")
    assert run(folder, "demo", "--queries", 1, "--output", "out").returncode == 0
    return folder / "out"


WRITERS: Dict[str, Callable[[Path], Path]] = {
    each.__name__: each for each in (listen, roll_over, repair, report, parquet, protobuf, demo)
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a capture."""
    write(tmp_path / "in.fstrm", [query(), response(), query(1), response(1)])
    return tmp_path


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_new_file_is_not_for_everybody(writer: str, umask: int, folder: Path) -> None:
    """Whatever a command makes has client addresses in it: 0640 before the umask, as captures."""
    before = os.umask(umask)
    try:
        made = WRITERS[writer](folder)
    finally:
        os.umask(before)

    assert oct(mode(made)) == oct(0o640 & ~umask)


@pytest.mark.parametrize("writer", ["listen", "report", "demo"])
@pytest.mark.parametrize("given", [0o600, 0o664], ids=oct)
def test_a_file_that_exists_keeps_its_permissions(writer: str, given: int, folder: Path) -> None:
    """Overwritten or continued: what its owner allows or forbids stays as it was."""
    out = folder / "out"
    out.touch()
    out.chmod(given)

    assert oct(mode(WRITERS[writer](folder))) == oct(given)
    assert out.stat().st_size
