"""An obedient peer: a child process that reads, closes, shuts down, stops or is killed."""

from __future__ import annotations

import errno
import fcntl
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, Callable, Optional

import pytest

from tests.helpers.support import wait_until

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="these are facts of Linux"
)
DEADLINE = 30.0
SIOCOUTQ = 0x5411
"""termios.TIOCOUTQ, the same number; see tcp(7) and unix(7)."""

# One line of commands in, one line of answer out; the socket is the peer's end.
OBEDIENT = r"""
import fcntl, socket, ssl, struct, sys
kind, path = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
listener.bind(path if kind == "unix" else ("127.0.0.1", 0))
listener.listen(5)
print(0 if kind == "unix" else listener.getsockname()[1], flush=True)
peer = None
for line in sys.stdin:
    command, *words = line.split()
    answer = "done"
    if command == "accept":
        peer = listener.accept()[0]
        if kind != "unix":
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    elif command == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(words[0])
        peer = context.wrap_socket(peer, server_side=True)
    elif command == "read":
        wanted = int(words[0])
        while wanted:
            portion = peer.recv(wanted)
            if not portion:
                break
            wanted -= len(portion)
        answer = int(words[0]) - wanted
    elif command == "drain":
        answer = 0
        try:
            while True:
                portion = peer.recv(65536)
                answer += len(portion)
                if not portion:
                    answer = "%d end" % answer
                    break
        except ConnectionResetError:
            answer = "%d reset" % answer
    elif command == "unread":
        answer = struct.unpack("i", fcntl.ioctl(peer, 0x541B, bytes(4)))[0]  # FIONREAD
    elif command == "send":
        peer.sendall(bytes(int(words[0])))
    elif command == "notify":
        try:
            peer.setblocking(False)
            peer.unwrap()
        except ssl.SSLError:
            pass
    elif command == "shutdown":
        peer.shutdown(getattr(socket, words[0]))
    elif command == "linger":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif command == "close":
        peer.close()
    elif command == "unlisten":
        listener.close()
    print(answer, flush=True)
"""


class Obedient:
    """A connection of ours, non-blocking, to a child process that does as it is told."""

    def __init__(
        self, kind: str, directory: Path, accept: bool = True, send_buffer: Optional[int] = None
    ) -> None:
        path = str(directory / "socket")
        self.process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT, kind, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        port = int(self._answer())
        self.sock = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        if send_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        if kind != "unix":
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(path if kind == "unix" else ("127.0.0.1", port))
        self.sock.setblocking(False)
        if accept:
            self.do("accept")

    def __enter__(self) -> Obedient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.sock.close()

    def _answer(self) -> str:
        stream: Optional[IO[str]] = self.process.stdout
        assert stream is not None
        return stream.readline().strip()

    def do(self, *command: object) -> str:
        """Give a command and return the answer, which comes when it was carried out."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert answer, f"the peer died of {command}"
        return answer

    def kill(self) -> None:
        """Kill the child, stopped or not, and return when it is gone."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def carry_out(self, steps: str) -> None:
        """Do several commands, separated by commas; "kill" and "stop" are signals."""
        for step in filter(None, steps.split(", ")):
            if step == "kill":
                self.kill()
            elif step == "stop":
                self.process.send_signal(signal.SIGSTOP)
            else:
                self.do(*step.split())

    def write(self, size: int) -> None:
        """Send that many bytes and wait until the peer's kernel has them."""
        assert self.sock.send(bytes(size)) == size, "it should have fitted"
        if self.sock.family != socket.AF_UNIX:
            wait_until(lambda: outstanding(self.sock) == 0, "the acknowledgement", DEADLINE)


def outstanding(sock: socket.socket) -> int:
    """Return what SIOCOUTQ says."""
    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCOUTQ, bytes(4)))[0])


def told(call: Callable[[], object]) -> object:
    """Return the call's result, or the name of its errno."""
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def look(sock: socket.socket, flags: int = 0) -> object:
    """Receive without waiting: bytes, or the errno's name."""
    return told(lambda: sock.recv(65536, flags))


def pending_error(sock: socket.socket) -> str:
    """Return the name of SO_ERROR, which reading clears; empty: none."""
    return errno.errorcode.get(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "")


def events(sock: socket.socket, interest: int = 0, seconds: float = 0.0) -> int:
    """Return what poll sees, which never clears anything."""
    poller = select.poll()
    poller.register(sock, select.POLLIN | select.POLLRDHUP | interest)
    return dict(poller.poll(int(seconds * 1000))).get(sock.fileno(), 0)


WRITTEN = 1000
RESETS = [
    "close", "kill", "stop, kill", "read 999, close", "read 999, kill", "linger, close",
    "shutdown SHUT_RD, close",
]  # fmt: skip


def wait_for_event(sock: socket.socket, event: int, what: str) -> None:
    """Wait until poll sees one of these events."""
    wait_until(lambda: events(sock) & event, what, DEADLINE)


def wait_for_end(sock: socket.socket) -> None:
    """Wait until the peer's end or reset has arrived."""
    wait_for_event(sock, select.POLLRDHUP | select.POLLERR, "the peer's end")
