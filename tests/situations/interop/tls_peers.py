"""TLS peers: certificates for a test, a terminator in front of a plain collector, s_server."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import List, NamedTuple, Optional, Type

import trustme

from tests.helpers.support import free_port, require_program, wait_until
from tests.situations.interop.collectors import dial

SLICE = 0.1
JOIN_TIMEOUT = 20.0


class Pki(NamedTuple):
    """Certificates of one authority: for a collector on 127.0.0.1, and for us as its client."""

    cafile: str
    server: trustme.LeafCert
    certfile: str
    keyfile: str
    server_certfile: str
    server_keyfile: str

    def server_context(self, client_certificates: bool = False) -> ssl.SSLContext:
        """Return a server's context; with client certificates, one that demands them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.configure_cert(context)
        if client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.cafile)
        return context


def make_pki(folder: Path) -> Pki:
    """Make an authority and its certificates, and write them into a folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server = authority.issue_cert("127.0.0.1", "localhost")
    client = authority.issue_cert("dns-server@example.net")
    paths = []
    for name, certificate in (("client", client), ("server", server)):
        paths += [str(folder / f"{name}.pem"), str(folder / f"{name}.key")]
        certificate.private_key_pem.write_to_path(paths[-1])
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(paths[-2], append=True)
    return Pki(str(folder / "ca.pem"), server, *paths)


class TlsTerminator:
    """Take TLS on 127.0.0.1 and pass the bytes to and from a plain collector.

    Args:
        target: the collector's address.
        context: a server's context.
    """

    def __init__(self, target: str, context: ssl.SSLContext) -> None:
        self._target = target
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SLICE)
        self.address = f"tls://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closing = threading.Event()
        self._threads: List[threading.Thread] = []
        self.connections = 0

    def __enter__(self) -> TlsTerminator:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT)
        self._listener.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                outside, _ = self._listener.accept()
            except socket.timeout:
                continue
            self._start(self._serve, outside)

    def _serve(self, outside: socket.socket) -> None:
        with outside:
            try:
                tls = self._context.wrap_socket(outside, server_side=True)
            except OSError:
                return  # the client will say what it did not like
            self.connections += 1
            with tls, dial(self._target) as inside:
                self._pass_on(tls, inside)

    def _pass_on(self, tls: ssl.SSLSocket, inside: socket.socket) -> None:
        """Carry bytes both ways, in one thread, until either side ends.

        An SSLSocket must not be read and written by two threads, so each has a short turn.
        """
        tls.settimeout(SLICE / 10)
        inside.settimeout(SLICE / 10)
        while not self._closing.is_set():
            for source, sink in ((tls, inside), (inside, tls)):
                try:
                    data = source.recv(65536)
                except socket.timeout:
                    continue
                except OSError:
                    return
                if not data:
                    return
                sink.settimeout(JOIN_TIMEOUT)
                sink.sendall(data)
                sink.settimeout(SLICE / 10)


class OpensslServer:
    """``openssl s_server``: TLS by OpenSSL itself, its plain side in the test's hands."""

    def __init__(self, pki: Pki, *arguments: str) -> None:
        port = free_port()
        self.address = f"tls://127.0.0.1:{port}"
        command = [require_program("openssl"), "s_server", "-quiet", "-accept", str(port)]
        files = ["-cert", pki.server_certfile, "-key", pki.server_keyfile, "-CAfile", pki.cafile]
        self._command = [*command, *files, *arguments]

    def __enter__(self) -> OpensslServer:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def wait_until_it_listens(self) -> None:
        """Wait for a connection, which is dropped again; s_server takes the next one."""

        def listens() -> bool:
            try:
                dial(self.address).close()
            except OSError:
                return False
            return True

        wait_until(listens, "s_server to listen")

    def pause(self) -> None:
        """Stop it in its tracks: it reads nothing more."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(JOIN_TIMEOUT)

    def read(self, size: int) -> bytes:
        """Return that many bytes of what came in."""
        assert self._process.stdout is not None
        data = b""
        while len(data) < size:
            portion = self._process.stdout.read(size - len(data))
            assert portion, f"the stream ended after {data!r}"
            data += portion
        return data

    def write(self, data: bytes) -> None:
        """Send bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
