"""Transport errors are OSErrors too: with errno and filename, caught once, wrapped once."""

from __future__ import annotations

import copy
import errno
import logging
import multiprocessing
import os
import pickle
import socket
from pathlib import Path
from typing import Callable, Type

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler, DnstapReader, DnstapReceiver
from dnstap_logging.address import Address
from dnstap_logging.delivery.destination import WriteError
from dnstap_logging.exceptions import DiskFull, FileLocked, PeerClosed, TransportTimeout
from dnstap_logging.transport.connect import connect
from dnstap_logging.transport.file import EMPTIED, FileTransport
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.tls import TlsOptions
from dnstap_logging.transport.waiting import never
from tests.helpers.support import assert_balanced
from tests.transport.peers import (
    Authority,
    address_of,
    full_backlog,
    in_child,
    listen_tcp,
    listen_unix,
    open_transport,
    resolver_to,
    unused_port,
)


def refusal(path: Path, **arguments: object) -> OSError:
    """Return how a handler refuses a path."""
    with pytest.raises(dnstap_logging.TransportError) as caught:
        DnstapHandler(path, **arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value, OSError), "which is what FileHandler raises"
    return caught.value


def test_a_constructor_raises_what_filehandler_raises(tmp_path: Path) -> None:
    """The same number and file name; the text says more."""
    path = tmp_path / "absent" / "x.fstrm"
    with pytest.raises(OSError, match="No such file") as caught:
        logging.FileHandler(path)

    error = refusal(path)

    assert (error.errno, error.filename) == (caught.value.errno, caught.value.filename)
    text = f"address={str(path)!r}: the directory does not exist (ENOENT); create it first"
    assert str(error) == text
    assert error.strerror == "the directory does not exist (ENOENT); create it first"


def test_every_refusal_has_a_number_and_a_name(tmp_path: Path) -> None:
    """Also those for which no call of the system failed."""
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with listen_unix(tmp_path / "socket"):
        found = {
            name: refusal(tmp_path / name, mode=mode)
            for name, mode in (("file", "x"), ("fifo", "a"), ("file/x", "a"))
        }
        for name in ("folder", "socket"):  # the first look refuses them; these came in between
            with pytest.raises(OSError, match=r"^file:///.* is a ") as caught:
                FileTransport(tmp_path / name)
            found[name] = caught.value

    numbers = {name: error.errno for name, error in found.items()}
    assert numbers == {
        "file": errno.EEXIST,
        "fifo": errno.ENXIO,
        "file/x": errno.ENOTDIR,
        "folder": errno.EISDIR,
        "socket": errno.ENXIO,
    }
    for name, error in found.items():
        assert error.filename == str(tmp_path / name), error


def test_what_is_no_capture_has_a_name_but_no_number(capture: Path) -> None:
    """Nothing failed but our own look at it."""
    capture.write_bytes(b"no capture")

    error = refusal(capture)

    assert (error.errno, error.filename) == (None, str(capture))


def test_no_permission(tmp_path: Path) -> None:
    """A folder that nobody may write to."""
    tmp_path.chmod(0o755)

    seen = in_child(lambda: str(refusal(tmp_path / "x").errno), unprivileged=True)

    assert seen in (str(errno.EACCES), "PermissionError: [Errno 13] Permission denied")


def test_a_second_writer_still_waits(capture: Path) -> None:
    """A locked file is not an error of the constructor, and is not confused with another error."""
    first = DnstapHandler(capture)
    second = DnstapHandler(capture)
    with pytest.raises(FileLocked) as caught:
        FileTransport(capture)
    first.close()
    second.close()

    assert caught.value.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    assert caught.value.filename == str(capture)
    assert type(caught.value.__cause__) is BlockingIOError
    assert_balanced(second.stats())


def test_an_emptied_capture_still_has_come_to_its_end(capture: Path) -> None:
    """It is no failure to write, for which the same file would be tried again."""
    transport = FileTransport(capture)
    transport.send(b"x" * 100)
    os.truncate(capture, 0)

    with pytest.raises(PeerClosed) as caught:
        transport.send(b"more")

    assert (caught.value.reason, caught.value.__cause__) == (EMPTIED, None)
    assert caught.value.filename == str(capture)
    transport.close()


def test_a_full_disk() -> None:
    """A device that is always full: errno says so."""
    error = DiskFull("file:///x", "full")
    error.__cause__ = OSError(errno.ENOSPC, "no space")

    assert (error.errno, error.filename) == (errno.ENOSPC, "/x")


# -- sockets ---------------------------------------------------------------------------------------


def test_a_refused_connection_is_wrapped_once() -> None:
    """The text has the address once, and the cause is the system's error."""
    address = Address("tcp", host="127.0.0.1", port=unused_port())

    with pytest.raises(OSError, match="refused") as caught:
        open_transport(address)

    assert str(caught.value).count("127.0.0.1") == 1, str(caught.value)
    assert (caught.value.errno, caught.value.filename) == (errno.ECONNREFUSED, None)
    assert type(caught.value.__cause__) is ConnectionRefusedError


def test_a_unix_socket_has_its_path(tmp_path: Path) -> None:
    """As files have."""
    path = f"{tmp_path}/absent"

    with pytest.raises(OSError, match="no such socket") as caught:
        open_transport(Address("unix", path=path))

    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, path)
    assert str(caught.value).count(path) == 1, str(caught.value)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_timeout_is_still_one(tmp_path: Path, kind: str) -> None:
    """It is not taken for an error of the system on its way out."""
    listener = listen_unix(tmp_path / "s", 0) if kind == "unix" else listen_tcp(backlog=0)
    with listener, full_backlog(listener):
        address = address_of(listener)
        with pytest.raises(TransportTimeout) as caught:
            connect(address, timeout=0.1, until=never, resolver=Resolver())

    assert caught.value.errno == errno.ETIMEDOUT
    assert caught.value.reason.count("in 0.") == 1, caught.value.reason
    assert not isinstance(caught.value.__cause__, TransportTimeout) or kind == "tcp"


def test_all_addresses_of_a_name() -> None:
    """Each error of several addresses is named once, and the number is the last one's."""
    port = unused_port()
    resolver = resolver_to(("127.0.0.1", port), ("127.0.0.2", port))

    with pytest.raises(OSError, match="refused") as caught:
        open_transport(Address("tcp", host="two.example", port=port), resolver=resolver)

    assert str(caught.value).count("127.0.0.1") == 1
    assert caught.value.errno == errno.ECONNREFUSED


def test_tls_and_the_dns_have_no_number(tmp_path: Path) -> None:
    """Their errors are OSErrors with numbers that mean something else."""

    def unknown(*arguments: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(OSError, match="cannot be resolved") as caught:
        open_transport(
            Address("tcp", host="x.invalid", port=1),
            resolver=Resolver(unknown),  # type: ignore[arg-type]
        )
    assert caught.value.errno is None

    other = tmp_path / "other"
    other.mkdir()
    authority = Authority(tmp_path)
    options = TlsOptions(cafile=Authority(other).cafile)
    context = authority.server_context()
    with DnstapReceiver("tls://127.0.0.1:0", print, ssl_context=context) as receiver:
        with pytest.raises(OSError, match="certificate is refused") as refused:
            open_transport(receiver.address, tls=options)
    assert refused.value.errno is None


@pytest.mark.parametrize("kind", ["tcp", "unix", "file"])
def test_a_receivers_error_is_wrapped_once(tmp_path: Path, kind: str) -> None:
    """An address that is taken."""
    path = tmp_path / "s"
    if kind == "file":
        path.write_bytes(b"")
    listener = listen_unix(path) if kind == "unix" else listen_tcp()
    address = address_of(listener) if kind == "tcp" else f"unix://{path}"
    receiver = DnstapReceiver(str(address), print)
    with listener, pytest.raises(dnstap_logging.TransportError) as caught:
        receiver.start()

    assert caught.value.errno == errno.EADDRINUSE
    assert str(caught.value).count(str(address)) == 1, str(caught.value)
    assert ("cannot listen here" in str(caught.value)) == (kind == "tcp")
    assert caught.value.filename == (None if kind == "tcp" else str(path))


def test_a_readers_socket_gets_no_file_name() -> None:
    """Errors of a reader's file have its name; those of a socket have none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        theirs.sendall(b"\0")
        with pytest.raises(TransportTimeout) as caught:
            next(iter(DnstapReader(ours)))

    assert caught.value.filename is None


# -- on their way between processes ----------------------------------------------------------------


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize(
    "kind", [dnstap_logging.TransportError, TransportTimeout, PeerClosed, DiskFull, FileLocked]
)
def test_a_copy_knows_what_the_cause_said(
    kind: Type[dnstap_logging.TransportError], again: Callable[[object], object]
) -> None:
    """The cause does not travel along, but its number and file name do."""
    error = kind("there", "not possible", 5)
    error.__cause__ = OSError(errno.EPERM, "no", "/some/file")
    wrapped = WriteError(error, 1, 2)
    wrapped.__cause__ = error

    for original in (error, wrapped):
        copied = again(original)
        assert isinstance(copied, type(original))
        assert (copied.errno, copied.filename) == (errno.EPERM, "/some/file")
        assert (copied.address, copied.reason, copied.taken) == ("there", "not possible", 5)
        assert (str(copied), copied.args) == (str(original), original.args)


def make_handler(path: str) -> None:
    """Make a handler, in a pool's worker."""
    DnstapHandler(path)


def test_a_pool_gets_the_error_of_its_worker(tmp_path: Path) -> None:
    """Once it waited for ever for it."""
    path = f"{tmp_path}/absent/x"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply_async(make_handler, (path,))
        with pytest.raises(OSError, match="does not exist") as caught:
            result.get(100)

    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, path)


def test_numbers_may_be_set_as_those_of_every_oserror() -> None:
    """As the reader does with the file name of an error."""
    error = dnstap_logging.TransportError("tcp://192.0.2.1:53", "no", errno=5)
    error.filename = "/x"
    assert (error.errno, error.filename) == (5, "/x")
    error.errno = 6
    assert error.errno == 6
