"""Capture files: opened and locked, unlocked and closed."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from dnstap_logging.exceptions import FileLocked, TransportError
from dnstap_logging.transport.file import FileTransport
from tests.transport.peers import in_child

LOCK_AND_WAIT = """
import sys
from dnstap_logging.transport.file import FileTransport
transport = FileTransport(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
transport.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a capture goes."""
    return tmp_path / "dns.dnstap"


@pytest.fixture
def transports() -> Iterator[List[FileTransport]]:
    """Transports to close at the end."""
    opened: List[FileTransport] = []
    yield opened
    for transport in opened:
        transport.close()


def error_of(path: Any, **options: Any) -> TransportError:
    """Return the error of a file that cannot be opened."""
    with pytest.raises(TransportError) as caught:
        FileTransport(path, **options).close()
    assert str(caught.value).startswith(f"file://{path}: ")
    return caught.value


@pytest.mark.parametrize("mode", ["a", "w", "x"])
def test_every_mode_writes_a_new_file(path: Path, mode: str) -> None:
    """What is sent is in the file, in order, when the transport is closed."""
    transport = FileTransport(path, mode)
    transport.send(b"START")
    transport.send(b"data" * 100_000)
    transport.close()

    assert path.read_bytes() == b"START" + b"data" * 100_000
    assert transport.name == f"file://{path}"


@pytest.mark.parametrize("mode", ["a", "w"])
def test_an_empty_file_may_exist(path: Path, mode: str) -> None:
    """A file that somebody made for us, with its owner and permissions, is used as it is."""
    path.touch()
    path.chmod(0o604)
    FileTransport(path, mode).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_w_replaces_the_file(path: Path) -> None:
    """Mode "w" empties an existing file."""
    path.write_bytes(b"old capture")
    transport = FileTransport(path, "w")
    transport.send(b"new")
    transport.close()

    assert path.read_bytes() == b"new"


def test_a_keeps_what_is_there(path: Path, transports: List[FileTransport]) -> None:
    """Mode "a" opens any file; `size` is its size, and what is sent is appended."""
    path.write_bytes(b"old capture")
    transport = FileTransport(path, "a")
    transports.append(transport)

    assert transport.size == len(b"old capture")
    assert (transport.read_at(4, 4), transport.read_at(4, 100)) == (b"capt", b"capture")
    assert path.read_bytes() == b"old capture"
    transport.send(b", new")
    assert path.read_bytes() == b"old capture, new"
    assert transport.size == len(b"old capture, new")


def test_x_refuses_an_existing_file(path: Path) -> None:
    """Mode "x" refuses a file that exists, even an empty one."""
    path.touch()
    error = error_of(path, mode="x")

    assert "exists already (EEXIST)" in error.reason
    assert isinstance(error.__cause__, FileExistsError)


@pytest.mark.parametrize("mode", ["", "r", "wb", None])
def test_other_modes_are_refused(path: Path, mode: Any) -> None:
    """There are four modes."""
    with pytest.raises(ValueError, match=r"must be 'a', 'w', 'x' or 'r\+'"):
        FileTransport(path, mode)
    assert not path.exists()


@pytest.mark.parametrize(
    ("umask", "options", "expected"),
    [
        (0o000, {}, 0o640),
        (0o027, {}, 0o640),
        (0o077, {}, 0o600),
        (0o000, {"permissions": 0o604}, 0o604),
    ],
)
def test_permissions_of_a_new_file(path: Path, umask: int, options: Any, expected: int) -> None:
    """A new file gets the permissions less the umask; queries are not for everybody to read."""

    def child() -> str:
        os.umask(umask)
        FileTransport(path, **options).close()
        return oct(stat.S_IMODE(path.stat().st_mode))

    assert in_child(child) == oct(expected)


def test_a_relative_path_stays_where_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, transports: List[FileTransport]
) -> None:
    """A program that changes its directory does not lose sight of its file."""
    monkeypatch.chdir(path.parent)
    transport = FileTransport(path.name)
    transports.append(transport)
    monkeypatch.chdir("/")

    assert transport.name == f"file://{path}"
    assert transport.look() is None


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A directory is not a file."""
    assert "is a directory" in error_of(tmp_path).reason


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The error says that the directory does not exist; it is not created."""
    error = error_of(tmp_path / "absent" / "dns.dnstap")

    assert "the directory does not exist (ENOENT)" in error.reason
    assert not (tmp_path / "absent").exists()


def test_a_path_through_a_file(path: Path) -> None:
    """A file in the place of a directory is told from a missing one."""
    path.touch()

    assert "not a directory (ENOTDIR)" in error_of(path / "dns.dnstap").reason


def test_a_fifo_is_refused(path: Path) -> None:
    """A fifo is refused at once: opening it would wait for a reader."""
    os.mkfifo(path)

    assert "not a regular file but a fifo" in error_of(path).reason


def test_a_device_is_refused() -> None:
    """A device is not a capture file."""
    assert "not a regular file" in error_of("/dev/null").reason


def test_a_socket_is_refused(path: Path) -> None:
    """A socket taken for a file gets the address to write instead."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))

        assert f"write unix://{path}" in error_of(path).reason


def test_permission_denied(tmp_path: Path) -> None:
    """A directory that this process may not write to says what is missing."""
    tmp_path.chmod(0o500)
    told = in_child(lambda: str(error_of(tmp_path / "dns.dnstap")), unprivileged=True)
    tmp_path.chmod(0o700)

    assert "permission denied (EACCES)" in told, told


def test_symbolic_links_are_followed(tmp_path: Path, transports: List[FileTransport]) -> None:
    """A link to a file, even one that is still to be made, leads to it, and is watched there."""
    link, target = tmp_path / "current", tmp_path / "dns.dnstap"
    link.symlink_to(target)
    transport = FileTransport(link)
    transports.append(transport)
    transport.send(b"data")

    assert target.read_bytes() == b"data"
    assert transport.look() is None
    link.unlink()
    link.symlink_to(tmp_path / "other")
    assert transport.look() == b""


def test_two_processes_do_not_write_one_file(path: Path) -> None:
    """The second process is refused, in "a" and "w", and harms nothing; then the file is free."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK_AND_WAIT, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        for mode in ("a", "w"):
            error = error_of(path, mode=mode)
            assert isinstance(error, FileLocked)
            assert "another process writes to this file" in error.reason
        other.communicate()

    FileTransport(path).close()


def test_a_locked_file_is_not_emptied(path: Path, transports: List[FileTransport]) -> None:
    """Mode "w" empties a file only once it is locked: another handler's capture is safe."""
    transports.append(FileTransport(path))
    transports[0].send(b"data")

    error_of(path, mode="w")
    assert path.read_bytes() == b"data"


def test_close_may_be_called_again(path: Path) -> None:
    """Closing is idempotent; a closed file takes nothing."""
    transport = FileTransport(path)
    transport.close()
    transport.close()
    transport.abandon()

    assert transport.fileno() == -1
    with pytest.raises(TransportError):
        transport.send(b"x")


def test_a_forked_child_abandons_and_the_parents_lock_stays(path: Path) -> None:
    """The child lets go of the file without unlocking it; the parent goes on writing."""
    transport = FileTransport(path)

    def child() -> str:
        transport.abandon()
        try:
            FileTransport(path, "w").close()
        except TransportError as error:
            return error.reason
        return "the lock was gone"

    assert "another process writes to this file" in in_child(child)
    transport.send(b"data")
    transport.close()
    assert path.read_bytes() == b"data"


def test_close_unlocks_while_a_child_still_holds_the_file(path: Path) -> None:
    """A forked child that keeps the descriptor does not stop the parent from opening its file."""
    transport = FileTransport(path)
    inherited = os.dup(transport.fileno())
    try:
        transport.close()
        FileTransport(path).close()
    finally:
        os.close(inherited)


def test_a_failed_open_leaves_nothing_open(path: Path, transports: List[FileTransport]) -> None:
    """What could not be opened, or locked, holds no descriptor, and no lock afterwards."""
    transports.append(FileTransport(path))
    before = os.listdir("/dev/fd")
    error_of(path)
    error_of(path, mode="w")
    error_of(path, mode="x")
    error_of(path.parent)
    assert os.listdir("/dev/fd") == before

    transports.pop().close()
    FileTransport(path).close()
