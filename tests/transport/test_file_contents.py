"""Capture files that are open: written whole or not at all, cut, and watched."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Iterator

import pytest

from dnstap_logging.exceptions import DiskFull, PeerClosed, TransportError
from dnstap_logging.transport.file import FileTransport
from tests.situations.captures.small_disk import Disk, on_a_small_disk
from tests.transport.peers import NOBODY, in_child, linux_only


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a capture goes."""
    return tmp_path / "dns.dnstap"


@pytest.fixture
def transport(path: Path) -> Iterator[FileTransport]:
    """Return an open file, which is new."""
    opened = FileTransport(path)
    yield opened
    opened.close()


def test_what_is_not_kept_goes_with_the_next_send(path: Path, transport: FileTransport) -> None:
    """What is behind `keep` stays until something is written in its place, or until `cut`."""
    transport.send(b"frames, STOP")

    transport.keep(8)
    assert (transport.size, path.read_bytes()) == (8, b"frames, STOP")
    assert transport.look() is None
    transport.send(b"more")
    assert (transport.size, path.read_bytes()) == (12, b"frames, more")
    transport.keep(6)
    transport.cut()
    assert (transport.size, path.read_bytes()) == (6, b"frames")


def test_look_sees_a_moved_file(path: Path, transport: FileTransport) -> None:
    """A file that was moved away is noticed, also when another has taken its place."""
    assert transport.look() is None

    path.rename(path.with_suffix(".1"))
    assert transport.look() == b""
    path.touch()
    assert transport.look() == b""


def test_look_sees_a_deleted_file(path: Path, transport: FileTransport) -> None:
    """A file that was deleted, or whose directory was, is noticed."""
    path.unlink()

    assert transport.look() == b""


def test_look_sees_an_emptied_file(path: Path, transport: FileTransport) -> None:
    """A file that another program emptied in place is noticed; nothing more gets into it."""
    transport.send(b"START, frames")
    os.truncate(path, 0)

    assert transport.look() == b""
    assert transport.end == "the file was emptied by another program"
    with pytest.raises(PeerClosed, match="emptied by another program"):
        transport.send(b"more")
    assert path.read_bytes() == b""


def test_a_send_into_an_emptied_file_leaves_nothing(path: Path, transport: FileTransport) -> None:
    """Also a file that is emptied between a look and the next send gets no stream without START."""
    transport.send(b"START, frames")
    os.truncate(path, 0)

    for _ in range(2):
        with pytest.raises(PeerClosed, match="emptied by another program") as caught:
            transport.send(b"more")
        assert caught.value.taken == 0
        assert path.read_bytes() == b""


def test_look_goes_on_when_the_path_is_out_of_sight(tmp_path: Path) -> None:
    """A program that gives up its privileges goes on with the file that it opened before."""
    directory = tmp_path / "captures"
    directory.mkdir()

    def child() -> str:
        transport = FileTransport(directory / "dns.dnstap")
        directory.chmod(0)
        if os.getuid() == 0:  # whom no permission stops
            os.setuid(NOBODY)
        return f"{transport.look()!r}"

    told = in_child(child)
    directory.chmod(0o700)

    assert told == "None"


def test_a_write_that_is_cut_leaves_nothing_behind(path: Path) -> None:
    """What still fitted is cut off again: the file ends with the last whole send."""
    resource = pytest.importorskip("resource")

    def child() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        transport = FileTransport(path)
        transport.send(b"x" * 400)
        with pytest.raises(TransportError) as caught:
            transport.send(b"y" * 900)
        return f"{caught.value.taken} {caught.value.reason}: {caught.value.__cause__!r}"

    told = in_child(child)
    assert told.startswith("0 "), told
    assert "(EFBIG): OSError(" in told, told
    assert path.read_bytes() == b"x" * 400


@pytest.mark.skipif(not linux_only, reason="/dev/full is Linux's")
@on_a_small_disk
def test_a_full_disk_keeps_its_cause(disk: Disk) -> None:
    """A full disk can be told from other errors, and keeps its cause."""
    transport = FileTransport(disk.capture)
    disk.fill()

    with pytest.raises(DiskFull, match="no space left on the device") as caught:
        transport.send(b"x")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert caught.value.taken == 0
