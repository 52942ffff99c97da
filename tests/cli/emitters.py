"""Real programs that emit dnstap, started and stopped by the tests: knotd, dnsdist and kdig.

Both servers are ready when they take a TCP connection, which says nothing into their dnstap: what
is in a stream is what `Server.ask` asked, and nothing else. Zones and settings are made in the
test's folder; nothing leaves the loopback interface.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Sequence, Type, TypeVar

import dns.message
import dns.query
import pytest

from tests.helpers.support import free_port, require_program, wait_until

SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian puts servers, which is not on everybody's PATH."""

ANSWER_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0

ZONE = """\
$ORIGIN example.org.
@ 3600 SOA ns1 host 1 2 3 4 5
@ 3600 NS ns1
ns1 300 A 192.0.2.1
www 300 A 192.0.2.2
www 300 AAAA 2001:db8::2
mail 300 MX 10 ns1
text 300 TXT "a b" "c\\"d"
srv 300 SRV 1 2 53 ns1
alias 300 CNAME www
*.wild 300 A 192.0.2.9
"""

QUESTIONS = (
    ("www.example.org.", "A"),
    ("www.example.org.", "AAAA"),
    ("mail.example.org.", "MX"),
    ("text.example.org.", "TXT"),
    ("srv.example.org.", "SRV"),
    ("alias.example.org.", "A"),
    ("example.org.", "SOA"),
    ("nowhere.example.org.", "A"),
    ("www.example.com.", "A"),
)
"""Answers of several kinds, a name that does not exist, and one that is refused."""

S = TypeVar("S", bound="Server")


class Server:
    """A DNS server that emits dnstap; running inside its ``with``.

    Args:
        folder: for its settings and its log.
        sink: where its dnstap goes.
    """

    program = ""

    def __init__(self, folder: Path, sink: str) -> None:
        self.folder = folder
        self.sink = sink
        self.port = free_port()
        self._executable = require_program(self.program, SBIN)
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._log = folder / f"{self.program}.log"

    def arguments(self) -> List[str]:
        """Write the settings; return the command line after the program's name."""
        raise NotImplementedError

    def __enter__(self: S) -> S:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._executable, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            wait_until(self._listens, f"{self.program} to listen")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.kill()

    def ask(self, questions: Sequence[Sequence[str]] = QUESTIONS, tcp: bool = False) -> int:
        """Ask each question, once it is answered the next; return how many there were."""
        ask = dns.query.tcp if tcp else dns.query.udp
        for number, (name, kind) in enumerate(questions):
            query = dns.message.make_query(name, kind, use_edns=0 if number % 2 else None)
            ask(query, "127.0.0.1", timeout=ANSWER_TIMEOUT, port=self.port)
        return len(questions)

    def stop(self) -> None:
        """End it in order, as an operator does: its stream ends with STOP."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT)
        self._process = None

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"{self.program} ended at once: {self._log.read_text(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class Knot(Server):
    """knotd with mod-dnstap, for the zone example.org: AUTH_QUERY and AUTH_RESPONSE.

    Args:
        folder: for its settings, zone and log.
        sink: ``unix:PATH`` of a collector, or the path of a capture; "" for none.
    """

    program = "knotd"

    def arguments(self) -> List[str]:
        """Write settings and zone."""
        (self.folder / "example.org.zone").write_text(ZONE)
        tap = f'mod-dnstap:\n  - id: tap\n    sink: "{self.sink}"\n    identity: ns1.example.org\n'
        settings = (
            f'server:\n  rundir: "{self.folder}"\n  listen: 127.0.0.1@{self.port}\n'
            f'database:\n  storage: "{self.folder}"\nlog:\n  - target: stderr\n    any: info\n'
            f"{tap if self.sink else ''}"
            f'template:\n  - id: default\n    storage: "{self.folder}"\n'
            f"{'    global-module: mod-dnstap/tap' if self.sink else ''}\n"
            "zone:\n  - domain: example.org\n    file: example.org.zone\n"
        )
        (self.folder / "knot.conf").write_text(settings)
        return ["-c", "knot.conf"]


class Dnsdist(Server):
    """dnsdist in front of another server: CLIENT_QUERY and CLIENT_RESPONSE.

    It sends each message at once. Let the collector have all before it is stopped: it does not
    wait for what is on the way.

    Args:
        folder: for its settings and log.
        sink: the path of a collector's unix socket.
        upstream: the port of the server that answers.
    """

    program = "dnsdist"

    def __init__(self, folder: Path, sink: str, upstream: int) -> None:
        super().__init__(folder, sink)
        self._upstream = upstream

    def arguments(self) -> List[str]:
        """Write the settings: nothing is asked outside, the upstream is taken to be up."""
        (self.folder / "dnsdist.conf").write_text(
            'setSecurityPollSuffix("")\n'
            f'setLocal("127.0.0.1:{self.port}")\n'
            f'newServer({{address="127.0.0.1:{self._upstream}"}})\n'
            "getServer(0):setUp()\n"
            f'tap = newFrameStreamUnixLogger("{self.sink}", '
            "{flushTimeout=1, queueNotifyThreshold=1})\n"
            'addAction(AllRule(), DnstapLogAction("dnsdist-1", tap))\n'
            'addResponseAction(AllRule(), DnstapLogResponseAction("dnsdist-1", tap))\n'
        )
        return ["--supervised", "--disable-syslog", "-C", "dnsdist.conf"]


def kdig(capture: Path, port: int, *arguments: str) -> None:
    """Have kdig ask a server on this machine, and write what it sent and got: TOOL_QUERY, …."""
    subprocess.run(
        [require_program("kdig"), "-E", str(capture), "@127.0.0.1", "-p", str(port), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
