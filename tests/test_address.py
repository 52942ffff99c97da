"""Addresses as users write them, and as they get them wrong."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path, PurePosixPath
from typing import Any, List

import pytest

from dnstap_logging.address import MAX_UNIX_PATH, Address, parse_address

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has abstract names"
)

GOOD: List[Any] = [
    ("unix:///run/dnstap.sock", Address("unix", path="/run/dnstap.sock")),
    ("UNIX:///run/dnstap.sock", Address("unix", path="/run/dnstap.sock")),
    ("unix:///run/with space%20?x#y", Address("unix", path="/run/with space%20?x#y")),
    ("tcp://127.0.0.1:6000", Address("tcp", host="127.0.0.1", port=6000)),
    ("tcp://collector.example:1", Address("tcp", host="collector.example", port=1)),
    ("tcp://[::1]:65535", Address("tcp", host="::1", port=65535)),
    ("tcp://[fe80::1%eth0]:6000", Address("tcp", host="fe80::1%eth0", port=6000)),
    ("tcp://[::ffff:192.0.2.1]:6000", Address("tcp", host="::ffff:192.0.2.1", port=6000)),
    ("tcp://_dnstap.büro.example.:6000", Address("tcp", host="_dnstap.büro.example.", port=6000)),
    ("tls://collector.example:6443", Address("tls", host="collector.example", port=6443)),
    ("file:///var/log/a%20b?.dnstap", Address("file", path="/var/log/a%20b?.dnstap")),
    ("file:///var/log/dns.sock", Address("file", path="/var/log/dns.sock")),
    ("/var/log/dns.dnstap", Address("file", path="/var/log/dns.dnstap")),
    ("/var/log/host:6000", Address("file", path="/var/log/host:6000")),
    (PurePosixPath("/var/log/dns.dnstap"), Address("file", path="/var/log/dns.dnstap")),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_good_addresses(text: Any, expected: Address) -> None:
    """Each form of the manual is read as it is meant."""
    assert parse_address(text) == expected


@pytest.mark.parametrize("address", [expected for _, expected in GOOD], ids=str)
def test_the_text_of_an_address_is_an_address(address: Address) -> None:
    """What diagnostics print can be written into a configuration."""
    assert parse_address(str(address)) == address


@linux_only
def test_abstract_names() -> None:
    """An abstract name is written with @ and begins with a NUL; a slash in it is allowed."""
    address = parse_address("unix://@dns/tap")

    assert address == Address("unix", path="\0dns/tap")
    assert str(address) == "unix://@dns/tap"
    assert parse_address(str(address)) == address


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain path is one of the directory that the program was in when it was read."""
    monkeypatch.chdir(tmp_path)

    for given in ("dns.dnstap", Path("dns.dnstap"), "./dns.dnstap", "sub/../dns.dnstap"):
        assert parse_address(given) == Address("file", path=str(tmp_path / "dns.dnstap")), given
    assert parse_address("./host:1").path == str(tmp_path / "host:1")
    assert parse_address(Path("host:1")).path == str(tmp_path / "host:1")


def test_is_file() -> None:
    """A file can be told from the sockets."""
    assert parse_address("/var/log/dns.dnstap").is_file
    assert not parse_address("tcp://127.0.0.1:1").is_file


LONG = "/" + "x" * (MAX_UNIX_PATH - 2)

# An address, and what the error must say to help.
BAD: List[Any] = [
    ("", ["empty", "unix:///path", "tcp://host:port"]),
    ("http://127.0.0.1:80", ["'http'", "unix:///path", "tcp://", "tls://", "file:///"]),
    ("udp://127.0.0.1:6000", ["'udp'", "tcp://"]),
    ("://x", ["''", "tcp://"]),
    ("unix://run/dnstap.sock", ["absolute", "unix:///run/dnstap.sock"]),
    ("unix://", ["absolute"]),
    ("unix:///", ["directory"]),
    ("unix:///run/", ["directory"]),
    ("unix://" + LONG + "x", [str(MAX_UNIX_PATH), str(MAX_UNIX_PATH - 1)]),
    ("unix:/run/dnstap.sock", ["slashes", "unix:///path"]),
    ("tcp:127.0.0.1:6000", ["slashes", "tcp://host:port"]),
    (PurePosixPath("tcp://127.0.0.1:6000"), ["str", "tcp://host:port"]),
    ("tcp://", ["port", "tcp://127.0.0.1:6000"]),
    ("tcp://host", ["port is missing", "tcp://host:6000"]),
    ("tcp://host:", ["port is missing", "tcp://host:6000"]),
    ("tcp://[::1]", ["port is missing", "tcp://[::1]:6000"]),
    ("tcp://[::1]6000", ["port is missing", "tcp://[::1]:6000"]),
    ("tcp://:6000", ["host is missing"]),
    ("tcp://host:0", ["'0'", "1 to 65535"]),
    ("tcp://host:70000", ["'70000'", "1 to 65535"]),
    ("tcp://host:-1", ["'-1'", "1 to 65535"]),
    ("tcp://host:+80", ["'+80'"]),
    ("tcp://host:6_000", ["'6_000'"]),
    ("tcp://host:٦٠", ["1 to 65535"]),
    ("tcp://host:domain", ["'domain'"]),
    ("tcp://host:" + "9" * 5000, ["1 to 65535"]),
    ("tcp://host:6000/", ["'6000/'"]),
    ("tls://host:6443?verify=no", ["'6443?verify=no'"]),
    ("tcp://::1:6000", ["brackets", "tcp://[::1]:6000"]),
    ("tcp://fe80::1%eth0:6000", ["brackets"]),
    ("tcp://[::1:6000", ["brackets hold an IPv6 address"]),
    ("tcp://[localhost]:6000", ["brackets hold an IPv6 address"]),
    ("tcp://[127.0.0.1]:6000", ["brackets hold an IPv6 address"]),
    ("tcp://[fe80::1%]:6000", ["brackets hold an IPv6 address"]),
    ("tcp://user@host:6000", ["'user@host' is not a host"]),
    ("tcp://ho st:6000", ["'ho st' is not a host"]),
    ("tcp://host\n:6000", ["is not a host"]),
    ("tcp://host/x", ["is not a host"]),
    ("tcp://ns..example:6000", ["'ns..example' is not a host"]),
    (f"tcp://{'a' * 64}.example:6000", [".example' is not a host"]),
    ("tcp://\udcff.example:6000", ["is not a host"]),
    ("file://relative", ["absolute", "file:///"]),
    ("file://", ["absolute"]),
    ("file:///var/log/", ["directory"]),
    ("dns.dnstap/", ["directory"]),
    ("/run/dnstap.sock", ["unix:///run/dnstap.sock", "file:///"]),
    (PurePosixPath("/run/dnstap.sock"), ["unix:///run/dnstap.sock"]),
    ("localhost:6000", ["tcp://localhost:6000", "tls://localhost:6000", "file:///"]),
    ("127.0.0.1:6000", ["tcp://127.0.0.1:6000"]),
    ("[::1]:6000", ["tcp://[::1]:6000"]),
    (":6000", ["tcp://"]),
    ("/var/log/dns\0.dnstap", ["NUL"]),
    ("unix://\0name", ["NUL", "unix://@name"]),
]


@pytest.mark.parametrize(("value", "texts"), BAD)
def test_bad_addresses(value: Any, texts: List[str]) -> None:
    """A wrong address is refused with the argument, the value and what is right."""
    with pytest.raises(ValueError, match=r"^target=") as caught:
        parse_address(value, argument="target")
    for text in [repr(value), *texts]:
        assert text in str(caught.value)


@pytest.mark.parametrize("value", [None, 6000, b"/var/log/dns.dnstap", ["/x"], Ellipsis])
def test_other_types(value: object) -> None:
    """Only a str or a path is an address; the error names the type that was given."""
    with pytest.raises(TypeError, match=r"address must be a str or an os\.PathLike") as caught:
        parse_address(value)
    assert type(value).__name__ in str(caught.value)
    assert repr(value) in str(caught.value)


class BytesPath:
    """A path of bytes, which os.PathLike allows."""

    def __fspath__(self) -> bytes:
        return b"/var/log/dns.dnstap"


def test_a_path_of_bytes() -> None:
    """A path object of bytes is refused as bytes are."""
    with pytest.raises(TypeError, match="bytes"):
        parse_address(BytesPath())


def test_the_longest_unix_path() -> None:
    """The longest path that the kernel takes is taken, and it is counted in bytes."""
    assert parse_address("unix://" + LONG).path == LONG
    with pytest.raises(ValueError, match="bytes"):
        parse_address("unix://" + LONG[:-1] + "ö")
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect("/absent" + LONG[len("/absent") :])


@linux_only
def test_the_longest_abstract_name() -> None:
    """The longest abstract name is one that the kernel can bind."""
    name = "x" * (MAX_UNIX_PATH - 1)
    address = parse_address(f"unix://@{name}")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(address.path)

    with pytest.raises(ValueError, match="abstract name"):
        parse_address(f"unix://@{name}x")
    with pytest.raises(ValueError, match="name is missing"):
        parse_address("unix://@")


def test_systems_without_abstract_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux an abstract name is refused."""
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(ValueError, match="only Linux"):
        parse_address("unix://@dnstap")


def test_systems_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no unix sockets, the error offers TCP."""
    monkeypatch.delattr(socket, "AF_UNIX")

    with pytest.raises(ValueError, match="tcp://host:port"):
        parse_address("unix:///run/dnstap.sock")


def test_an_existing_socket_is_no_file(tmp_path: Path) -> None:
    """A path of an existing socket is refused, whatever it is called."""
    path = tmp_path / "dnstap"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        for value in (str(path), path, f"file://{path}"):
            with pytest.raises(ValueError, match=f"write unix://{path}"):
                parse_address(value)


def test_an_existing_directory_is_no_file(tmp_path: Path) -> None:
    """A directory is refused as a file and as a socket."""
    for value in (str(tmp_path), tmp_path, f"file://{tmp_path}", f"unix://{tmp_path}"):
        with pytest.raises(ValueError, match="is a directory"):
            parse_address(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp://:6000", Address("tcp", host="127.0.0.1", port=6000)),
        ("tcp://127.0.0.1:0", Address("tcp", host="127.0.0.1", port=0)),
        ("tls://[::]:0", Address("tls", host="::", port=0)),
        ("tcp://:0", Address("tcp", host="127.0.0.1", port=0)),
        ("unix:///run/dnstap.sock", Address("unix", path="/run/dnstap.sock")),
    ],
)
def test_addresses_to_listen_on(text: str, expected: Address) -> None:
    """A listener may let the system choose the port, and listens on loopback by default."""
    assert parse_address(text, listen=True) == expected


@pytest.mark.parametrize(
    "value", ["file:///x", "/x", Path("/x"), "", "http://x:1", "tcp://:70000", "tcp://host"]
)
def test_addresses_that_nobody_can_listen_on(value: Any) -> None:
    """A listener is not offered what is for writers only."""
    with pytest.raises(ValueError, match=r"^address=") as caught:
        parse_address(value, listen=True)
    assert "file:///" not in str(caught.value).replace(repr(value), "")


def test_undecodable_paths() -> None:
    """A path that is not UTF-8, as os.listdir returns it, keeps its bytes."""
    path = os.fsdecode(b"/var/log/\xff.dnstap")

    assert os.fsencode(parse_address(path).path) == b"/var/log/\xff.dnstap"
    assert os.fsencode(parse_address(f"unix://{path}").path) == b"/var/log/\xff.dnstap"
