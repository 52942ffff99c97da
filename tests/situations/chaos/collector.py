"""The collector's process: listens, and has each session do what the plan says.

    python -m tests.situations.chaos.collector FOLDER

The folder has ``collector.json`` (see `Setup`); what arrives goes to ``sessions/`` in it. SIGTERM
ends it in order, SIGKILL as the plan likes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from random import Random
from typing import Any, List, NamedTuple, Optional, Tuple

from tests.situations.chaos.peers import PEERS, Session

__all__ = ["Setup"]

HANDSHAKE_SECONDS = 5.0


class Setup(NamedTuple):
    """What the collector has to know.

    Attributes:
        seed: of the plan.
        address: the destination's, as text.
        sessions: what they do, in turn; later ones are well.
        certificate, wrong_certificate: PEM files of a certificate with its key, for TLS.
    """

    seed: int
    address: str
    sessions: List[str]
    certificate: str
    wrong_certificate: str


class Collector:
    """Listens, and starts a thread for each session."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self._setup = setup
        self._folder = folder / "sessions"
        self._calm = folder / "calm"
        self._ending = threading.Event()
        self._threads: List[threading.Thread] = []
        # Earlier processes have used up the first of the plan.
        self._number = max([-1, *(int(path.stem) for path in self._folder.glob("*.kind"))]) + 1
        self._listener = listen(setup.address)

    def run(self) -> None:
        """Serve until SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self._ending.set())
        print("listening", flush=True)
        self._listener.settimeout(0.05)
        while not self._ending.is_set():
            try:
                sock, _ = self._listener.accept()
            except socket.timeout:
                continue
            kind, name = self._next()
            thread = threading.Thread(target=self._serve, args=(sock, kind, name), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _next(self) -> Tuple[str, Path]:
        """Return what the next session does, and the name of its files."""
        kinds, number = self._setup.sessions, self._number
        self._number += 1
        kind = kinds[number] if number < len(kinds) and not self._calm.exists() else "well"
        name = self._folder / f"{number:05}"
        name.with_suffix(".kind").write_text(kind)
        return kind, name

    def _serve(self, sock: socket.socket, kind: str, name: Path) -> None:
        sock.settimeout(HANDSHAKE_SECONDS)
        try:
            context = self._context(kind)
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
        except (OSError, ValueError):
            sock.close()  # the handler does not like the certificate, or has gone
            return
        rng = Random(f"{self._setup.seed} {name.name}")
        session = Session(sock, name, self._calm, self._ending, rng)
        try:
            PEERS[kind](session)
        except OSError:
            pass  # the handler's end is as good as any other
        finally:
            session.close()

    def _context(self, kind: str) -> Optional[ssl.SSLContext]:
        if not self._setup.address.startswith("tls://") or kind == "speaks_plain":
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        is_wrong = kind == "wrong_certificate"
        context.load_cert_chain(
            self._setup.wrong_certificate if is_wrong else self._setup.certificate
        )
        return context


def listen(address: str) -> socket.socket:
    """Return a listening socket for an address of a handler."""
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        listener = socket.socket(socket.AF_UNIX)
        where: Any = "\0" + rest[1:] if rest.startswith("@") else rest
        if os.path.exists(rest):
            os.unlink(rest)
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, _, port = rest.rpartition(":")
        where = host, int(port)
    listener.bind(where)
    listener.listen()
    return listener


if __name__ == "__main__":
    place = Path(sys.argv[1])
    Collector(place, Setup(**json.loads((place / "collector.json").read_text()))).run()
