"""Addresses: where frames go to, or come from, as the user writes them.

They are parsed in constructors, so that mistakes are seen there and not in the writer thread.
Nothing here opens, resolves or connects, but it checks whether a path is a directory or a socket:
the most common mistake is to give a socket's path without unix://.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from typing import Callable, Dict, NamedTuple, Optional, Tuple

__all__ = ["Address", "parse_address"]

# sizeof(sockaddr_un.sun_path): 108 bytes on Linux, 104 on the BSDs and macOS, including the NUL
# that ends a path or begins an abstract name.
MAX_UNIX_PATH = 108 if sys.platform.startswith("linux") else 104
MAX_PORT = 65535
DEFAULT_LISTEN_HOST = "127.0.0.1"

DEFAULT_KAFKA_PORT = 9092

SOCKET_FORMS = "unix:///path, unix://@abstract, tcp://host:port or tls://host:port"
KAFKA_FORM = "kafka://host:port,host:port/topic"
ALL_FORMS = (
    f"{SOCKET_FORMS.replace(' or ', ', ')}, {KAFKA_FORM} (with the extra 'kafka'), "
    "file:///path or the plain path of a file"
)

# Not compiled at import: most addresses need none of these patterns.
# "localhost:6000", "[::1]:6000" and ":6000", but not "captures/a:1": a slash makes it a path.
_LOOKS_LIKE_HOST_PORT = r"[^/\\]*:[0-9]+"
# pathlib's form of "tcp://host:1", or a URL without its slashes.
_LOOKS_LIKE_SCHEME = r"(?i)(unix|tcp|tls|kafka|file):"
# What brokers take as a topic's name.
_TOPIC = r"[A-Za-z0-9._-]{1,249}"
_NEVER_IN_A_HOST = r"[\s\x00-\x1f\x7f/\\@?#\[\]%]"


class Address(NamedTuple):
    """One place that frames go to or come from.

    Attributes:
        scheme: ``unix``, ``tcp``, ``tls``, ``kafka`` or ``file``.
        path: of a unix socket or a file; an abstract unix name begins with a NUL. Of Kafka, the
            topic.
        host: a name or a numeric address, IPv6 without its brackets. Of Kafka, the brokers,
            ``host:port,host:port``.
        port: 1 to 65535; 0 only for listening, and of Kafka.
    """

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_file(self) -> bool:
        """Whether frames go to a file, not to a socket."""
        return self.scheme == "file"

    @property
    def is_socket(self) -> bool:
        """Whether frames go to one socket, as Frame Streams."""
        return self.scheme in ("unix", "tcp", "tls")

    def __str__(self) -> str:
        if self.scheme == "kafka":
            return f"{self.scheme}://{self.host}/{self.path}"
        if self.scheme in ("unix", "file"):
            return f"{self.scheme}://{self.path.replace(chr(0), '@', 1)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class _Refusal(ValueError):
    """Why an address cannot be used; `parse_address` adds the argument and its value."""


def parse_address(value: object, *, listen: bool = False, argument: str = "address") -> Address:
    """Read an address as the user wrote it.

    A path is taken literally: ``%``, ``?`` and ``#`` have no meaning in it. A host is not resolved
    here.

    Args:
        value: a str (``unix:///path``, ``unix://@abstract``, ``tcp://host:port``,
            ``tls://host:port``, ``kafka://host:port,host:port/topic``, ``file:///path`` or the
            plain path of a file) or an os.PathLike, which is a file.
        listen: whether it is an address to listen on: port 0 lets the system choose, an empty
            host is 127.0.0.1, and a file and Kafka are refused.
        argument: the name of the argument in errors.

    Raises:
        TypeError: it is neither a str nor an os.PathLike of str.
        ValueError: it cannot be used; the text names the argument, the value and what is right.
    """
    text = value if isinstance(value, str) else _path_text(value, argument)
    try:
        if "\0" in text:
            raise _Refusal("must not contain a NUL character (an abstract name is unix://@name)")
        if not _has_file_name(text):
            raise _Refusal("has characters that no file name can have")
        if isinstance(value, str) and "://" in text:
            return _parse_url(text, listen)
        if listen:
            raise _Refusal(f"cannot be listened on; write {SOCKET_FORMS}")
        return _parse_plain_path(text, ambiguous=isinstance(value, str))
    except _Refusal as refusal:
        raise ValueError(f"{argument}={value!r}: {refusal}") from None


def _path_text(value: object, argument: str) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(text, str):
        return text
    raise TypeError(
        f"{argument} must be a str or an os.PathLike, not {type(text).__name__} ({value!r}); "
        f"write {ALL_FORMS}"
    )


def _has_file_name(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _parse_url(text: str, listen: bool) -> Address:
    scheme, _, rest = text.partition("://")
    parse = _PARSERS.get(scheme.lower())
    if parse is None:
        forms = SOCKET_FORMS if listen else ALL_FORMS
        raise _Refusal(f"there is no scheme {scheme!r}; write {forms}")
    return parse(scheme.lower(), rest, listen)


def _parse_unix(scheme: str, rest: str, listen: bool) -> Address:
    if not hasattr(socket, "AF_UNIX"):
        raise _Refusal("this platform has no unix sockets; write tcp://host:port")
    if rest.startswith("@"):
        return _parse_abstract(scheme, rest[1:])
    if not rest.startswith("/"):
        raise _Refusal(
            "a unix socket needs an absolute path, as in unix:///run/dnstap.sock, "
            "or an abstract name, as in unix://@dnstap"
        )
    # The kernel needs room for the NUL that ends the path.
    _refuse_long(os.fsencode(rest) + b"\0", "path")
    if rest.endswith("/") or _file_type(rest) == stat.S_IFDIR:
        raise _Refusal("is a directory; write the path of a socket in it")
    return Address(scheme, path=rest)


def _parse_abstract(scheme: str, name: str) -> Address:
    if not sys.platform.startswith("linux"):
        raise _Refusal("only Linux has abstract unix names; write unix:///path")
    if not name:
        raise _Refusal("the abstract name is missing, as in unix://@dnstap")
    path = "\0" + name
    _refuse_long(os.fsencode(path), "abstract name")
    return Address(scheme, path=path)


def _refuse_long(encoded: bytes, what: str) -> None:
    if len(encoded) > MAX_UNIX_PATH:
        raise _Refusal(
            f"the {what} has {len(encoded) - 1} bytes; "
            f"this system takes at most {MAX_UNIX_PATH - 1} in a unix socket's address"
        )


def _parse_host_port(scheme: str, rest: str, listen: bool) -> Address:
    host, port_text = _split_host_port(scheme, rest)
    if not host:
        if not listen:
            raise _Refusal(f"the host is missing, as in {scheme}://127.0.0.1:6000")
        host = DEFAULT_LISTEN_HOST
    lowest = 0 if listen else 1
    # Not int() alone: it accepts "+80", "6_000" and digits of every script.
    if not re.fullmatch(r"[0-9]{1,9}", port_text) or not lowest <= int(port_text) <= MAX_PORT:
        raise _Refusal(f"the port is {port_text!r}; it must be from {lowest} to {MAX_PORT}")
    return Address(scheme, host=host, port=int(port_text))


def _split_host_port(scheme: str, rest: str) -> Tuple[str, str]:
    if rest.startswith("["):
        host, closed, port = rest[1:].partition("]")
        if not closed or not _is_ipv6(host):
            raise _Refusal(f"brackets hold an IPv6 address, as in {scheme}://[::1]:6000")
    else:
        host, colon, port = rest.partition(":")
        port = colon + port
        if rest.count(":") > 1:
            raise _Refusal(f"an IPv6 address needs brackets, as in {scheme}://[::1]:6000")
        if re.search(_NEVER_IN_A_HOST, host) or (host and not _can_be_looked_up(host)):
            raise _Refusal(f"{host!r} is not a host; write {scheme}://host:port")
    if not port.startswith(":") or port == ":":
        raise _Refusal(f"the port is missing, as in {scheme}://{_bracketed(host)}:6000")
    return host, port[1:]


def _parse_kafka(scheme: str, rest: str, listen: bool) -> Address:
    if listen:
        raise _Refusal(f"brokers cannot be listened on; write {SOCKET_FORMS}")
    brokers, slash, topic = rest.partition("/")
    if not brokers:
        raise _Refusal(f"the broker is missing, as in {scheme}://localhost:9092/dnstap")
    if not slash or not topic:
        raise _Refusal(f"the topic is missing, as in {scheme}://{brokers}/dnstap")
    if not re.fullmatch(_TOPIC, topic) or topic in (".", ".."):
        raise _Refusal(
            f"the topic is {topic!r}; it must be 1 to 249 letters, digits, dots, underscores and "
            "hyphens"
        )
    return Address(scheme, path=topic, host=",".join(map(_parse_broker, brokers.split(","))))


def _parse_broker(text: str) -> str:
    """Return one broker as host:port."""
    if re.fullmatch(r"[^:\[\]]+|\[[^\]]*\]", text):
        text = f"{text}:{DEFAULT_KAFKA_PORT}"
    one = _parse_host_port("kafka", text, listen=False)
    return f"{_bracketed(one.host)}:{one.port}"


def _bracketed(host: str) -> str:
    if not host:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _can_be_looked_up(host: str) -> bool:
    """Return whether getaddrinfo accepts it: labels of at most 63 octets, and what IDNA allows."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _is_ipv6(host: str) -> bool:
    """Return whether it is an IPv6 address, perhaps with a scope id (RFC 4007, "fe80::1%eth0")."""
    number, percent, scope = host.partition("%")
    if percent and (not scope or re.search(_NEVER_IN_A_HOST, scope)):
        return False
    try:
        socket.inet_pton(socket.AF_INET6, number)
    except (OSError, ValueError):
        return False
    return True


def _parse_file_url(scheme: str, rest: str, listen: bool) -> Address:
    if listen:
        raise _Refusal(f"a file cannot be listened on; write {SOCKET_FORMS}")
    if not rest.startswith("/"):
        raise _Refusal(
            "file:// needs an absolute path, as in file:///var/log/dns.dnstap; "
            "a relative one is written without file://"
        )
    _refuse_what_is_no_file(rest)
    return Address(scheme, path=rest)


def _parse_plain_path(text: str, ambiguous: bool) -> Address:
    """Read the plain path of a file.

    Args:
        text: the path.
        ambiguous: it was a str, which could also have been meant as host:port.
    """
    if not text:
        raise _Refusal(f"is empty; write {ALL_FORMS}")
    if re.match(_LOOKS_LIKE_SCHEME, text):
        raise _Refusal(f"lacks the two slashes, or is a path object; write the str {ALL_FORMS}")
    if ambiguous and re.fullmatch(_LOOKS_LIKE_HOST_PORT, text):
        raise _Refusal(
            f"looks like host:port; write tcp://{text} or tls://{text}, "
            "or file:///… for a file of that name"
        )
    if text.lower().endswith(".sock"):
        raise _Refusal(
            f"looks like a unix socket; write unix://{os.path.abspath(text)}, "
            "or file:///… for a file of that name"
        )
    _refuse_what_is_no_file(text)
    # As logging.FileHandler: a later chdir does not move the file.
    return Address("file", path=os.path.abspath(text))


def _refuse_what_is_no_file(path: str) -> None:
    file_type = _file_type(path)
    if path.endswith("/") or file_type == stat.S_IFDIR:
        raise _Refusal("is a directory; write the path of a file in it")
    if file_type == stat.S_IFSOCK:
        raise _Refusal(f"is a socket; write unix://{os.path.abspath(path)}")


def _file_type(path: str) -> Optional[int]:
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None  # missing or hidden: opening it will say so


_PARSERS: Dict[str, Callable[[str, str, bool], Address]] = {
    "unix": _parse_unix,
    "tcp": _parse_host_port,
    "tls": _parse_host_port,
    "kafka": _parse_kafka,
    "file": _parse_file_url,
}
