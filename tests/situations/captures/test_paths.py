"""Where a capture is, and who may read it: permissions, links, relative paths, missing folders."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dnstap_logging import DnstapHandler
from dnstap_logging.exceptions import TransportError
from tests.helpers.support import capture as stream
from tests.helpers.support import dnstap_payload
from tests.situations.captures.whole import log_mark, log_one, marks_of
from tests.transport.peers import in_child

STREAM = stream(dnstap_payload(number) for number in range(3))
OLD = ["0", "1", "2"]


@pytest.mark.parametrize(("umask", "expected"), [(0o000, 0o640), (0o022, 0o640), (0o077, 0o600)])
def test_a_new_file_is_not_for_everybody(capture: Path, umask: int, expected: int) -> None:
    """A new file gets 0640 before the umask."""

    def child() -> str:
        os.umask(umask)
        DnstapHandler(capture).close()
        return oct(stat.S_IMODE(capture.stat().st_mode))

    assert in_child(child) == oct(expected)


@pytest.mark.parametrize("mode", ["a", "w"])
def test_an_existing_file_keeps_its_permissions(capture: Path, mode: str) -> None:
    """An existing file keeps its permissions, also when it is emptied."""
    capture.write_bytes(STREAM)
    capture.chmod(0o664)

    log_one(capture, mode=mode, permissions=0o600)

    assert stat.S_IMODE(capture.stat().st_mode) == 0o664


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_followed(capture: Path, tmp_path: Path, there: bool) -> None:
    """The capture is where the link leads, also if it is still to be made; the link stays."""
    target = tmp_path / "target.fstrm"
    if there:
        target.write_bytes(STREAM)
    capture.symlink_to(target)

    log_one(capture)

    assert capture.is_symlink()
    assert marks_of(target) == [*(OLD if there else []), "new"]


@pytest.mark.parametrize("delay", [False, True])
def test_a_relative_path_is_made_absolute_once(
    capture: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, delay: bool
) -> None:
    """A program that changes its directory afterwards writes where it said, also after a move."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(capture.parent)
    handler = DnstapHandler(capture.name, delay=delay)
    monkeypatch.chdir(elsewhere)
    log_mark(handler, "first")
    assert handler.flush()
    capture.rename(tmp_path / "moved")
    log_mark(handler, "second")
    handler.close()

    assert handler.stats().address == f"file://{capture}"
    assert (marks_of(tmp_path / "moved"), marks_of(capture)) == (["first"], ["second"])
    assert not list(elsewhere.iterdir())


def test_the_folder_must_exist(tmp_path: Path) -> None:
    """The error names a folder that does not exist; it is not created."""
    path = tmp_path / "absent" / "dns.fstrm"

    with pytest.raises(TransportError, match="directory does not exist") as caught:
        DnstapHandler(path)

    assert str(caught.value).startswith(f"address={str(path)!r}: "), caught.value
    assert not path.parent.exists()
