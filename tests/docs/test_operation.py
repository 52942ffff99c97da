"""The how-tos about running a server: systemd, logrotate, prefork, TLS."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import threading
from pathlib import Path
from typing import List

from dnstap_logging import DnstapMessage, DnstapReader, DnstapReceiver
from tests.helpers.logrotate import Logrotate
from tests.helpers.pages import DOCS, LOG_ONE, example, rows_of, run, run_command, start
from tests.helpers.support import free_port, require_program, wait_until
from tests.situations.interop.collectors import FstrmCapture

DEADLINE = 60  # seconds for a program
# Not signal.pause(): a signal that came just before it would wait there for the next one.
WAIT = """
import time
assert all(each.flush() for each in dnstap_logging.handlers())
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""

# -- systemd ---------------------------------------------------------------------------------------

UNITS = {
    "dns-server.service": example("howto/systemd.md", "ini", 0),
    "dnstap-collector.service": example("howto/systemd.md", "ini", 1),
}
SIGNALS = example("howto/systemd.md", "python")


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """systemd-analyze accepts them; only the interpreter's path is changed."""
    program = require_program("systemd-analyze")
    require_program("fstrm_capture")
    for name, unit in UNITS.items():
        unit = unit.replace("/opt/dns/.venv/bin/python", "/usr/bin/env")
        (tmp_path / name).write_text(unit, encoding="utf-8")

    done = subprocess.run(
        [program, "verify", "--man=no", *UNITS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def server(address: str) -> str:
    """Return a program with the page's signal handlers, which logs one message and waits."""
    return f"""
import logging
from dnstap_logging import DnstapHandler
logging.getLogger("dns").setLevel("INFO")
logging.getLogger("dns").addHandler(DnstapHandler({address!r}))
{SIGNALS}
{LOG_ONE}
{WAIT}
"""


def test_reload_and_stop_as_systemd_does(tmp_path: Path) -> None:
    """SIGHUP, as ExecReload says, begins a new session; SIGTERM delivers what is queued."""
    assert "ExecReload=/bin/kill -HUP $MAINPID" in UNITS["dns-server.service"]
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/dnstap.sock", messages.append) as receiver:
        with start(tmp_path, server("unix:///run/dnstap.sock")) as process:
            try:
                wait_until(lambda: messages, "the message")
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: receiver.stats().connections == 2, "a new session")
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=DEADLINE)
            finally:
                process.kill()
        wait_until(lambda: receiver.stats().finished == 2, "both in order")

    assert (process.returncode, said) == (0, "")


# -- logrotate -------------------------------------------------------------------------------------


def test_logrotate(tmp_path: Path) -> None:
    """The moved file is whole, and the new one has what is logged by then on."""
    folder = tmp_path / "captures"
    folder.mkdir(mode=0o700)
    configuration = example("howto/logrotate.md", "").replace("/var/log/dns", str(folder))
    with start(folder, server("dns.fstrm")) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            reload = f"kill -HUP {process.pid}"
            assert "systemctl reload dns-server" in configuration
            configuration = configuration.replace("systemctl reload dns-server", reload)
            Logrotate(
                tmp_path, re.sub("create 0640 dns dns", "create 0640", configuration)
            ).rotate()
            moved = folder / "dns.fstrm.1"
            wait_until(lambda: moved.exists() and whole(moved), "the end of the moved file")
            wait_until(lambda: (folder / "dns.fstrm").stat().st_size, "START in the new one")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert whole(folder / "dns.fstrm") == "0 messages"


def whole(path: Path) -> str:
    """Return how many messages a whole capture has; "" if it is not whole."""
    with DnstapReader(path) as reader:
        count = len(list(reader))
        return f"{count} messages" if reader.complete else ""


# -- prefork ---------------------------------------------------------------------------------------


PREFORK = example("howto/prefork.md", "python")


def test_prefork(tmp_path: Path) -> None:
    """Each worker's message comes on a connection of its own, which ends in order."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/dnstap.sock", messages.append) as receiver:
        run(tmp_path, PREFORK)
        wait_until(lambda: receiver.stats().finished == 3, "three streams")

    assert sorted(message.extra or b"" for message in messages) == [
        b"worker 0",
        b"worker 1",
        b"worker 2",
    ]
    assert receiver.stats().connections == 3


# -- TLS -------------------------------------------------------------------------------------------

OPENSSL = example("howto/tls.md", "sh")
SENDER, RECEIVER = example("howto/tls.md", "python", 0), example("howto/tls.md", "python", 1)


def certificates(folder: Path) -> None:
    """Make the certificates as the page does."""
    require_program("openssl")
    subprocess.run(
        ["/bin/sh", "-e"],
        input=OPENSSL,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )


def serial(path: Path) -> str:
    """Return the serial number of a certificate."""
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
    return str(decoded["serialNumber"])


class Collector:
    """The page's collector, as a program of its own.

    Args:
        folder: with the certificates.
        port: that it listens on.
    """

    def __init__(self, folder: Path, port: str) -> None:
        own = folder / "collector"
        own.mkdir()
        for name in ("collector.pem", "collector.key", "ca.pem"):
            (own / name).symlink_to(folder / name)
        self._process = start(own, RECEIVER.replace("6000", port))
        self.lines: List[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        wait_until(
            lambda: "collecting; press Enter to end" in self.lines, "the collector", DEADLINE
        )

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(lambda: self._process.stdout.readline().rstrip(), ""))

    @property
    def messages(self) -> List[str]:
        """The lines of the messages that came."""
        return [line for line in self.lines if " CQ " in line]

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._reading.join()
        self._process.communicate()

    def end(self) -> str:
        """Press Enter; return what it had to say on standard error."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.wait(DEADLINE) == 0
        return self._process.stderr.read()


def test_tls_with_renewal(tmp_path: Path) -> None:
    """The page's two programs trust each other, and a renewed certificate is used by reopen()."""
    certificates(tmp_path)
    port = str(free_port())
    with Collector(tmp_path, port) as collector:
        with start(tmp_path, SENDER.replace("6000", port) + RENEW) as process:
            try:
                wait_until(lambda: len(collector.messages) == 1, "the first message", DEADLINE)
                before = serial(tmp_path / "server.pem")
                renewed = OPENSSL.splitlines()[-2:]
                again = subprocess.run(
                    ["/bin/sh", "-ec", "\n".join(renewed)],
                    cwd=tmp_path,
                    capture_output=True,
                    timeout=DEADLINE,
                )
                assert again.returncode == 0
                assert serial(tmp_path / "server.pem") != before
                _, said = process.communicate("\n", timeout=DEADLINE)
            finally:
                process.kill()
        wait_until(lambda: len(collector.messages) == 2, "the second message", DEADLINE)
        assert collector.end() == ""

    assert (process.returncode, said) == (0, "")


RENEW = f"""
{LOG_ONE}
input()
handler.reopen()
{LOG_ONE}
assert handler.flush()
"""


def test_tls_refuses_a_stranger(tmp_path: Path) -> None:
    """Without a certificate of the authority the page's collector takes nothing, and says why."""
    certificates(tmp_path)
    port = str(free_port())
    bare = re.sub(r"    (certfile|keyfile)=.*\n", "", SENDER.replace("6000", port))
    waiting = "\nprint('ready', flush=True)\nfrom tests.helpers.support import wait_until\n"
    waiting += "wait_until(lambda: handler.stats().last_error, 'a refusal', 60)\n"
    waiting += "import os\nos._exit(0)  # the end would wait for the collector\n"

    with Collector(tmp_path, port) as collector:
        with start(tmp_path, bare + LOG_ONE + waiting) as process:
            try:
                process.communicate(timeout=2 * DEADLINE)
            finally:
                process.kill()
        assert "certificate" in collector.end()

    assert collector.messages == []


# -- the collector is away -------------------------------------------------------------------------

AWAY = "howto/collector-away.md"
SPOOLING, LISTED = (example(AWAY, "python", number) for number in range(2))
READ_SPOOL, CHECK_SEQUENCE = (example(AWAY, "sh", number) for number in range(2))
QUIET = """
logging.getLogger("dnstap_logging").addHandler(logging.NullHandler())
"""
WAIT_WRITTEN = """
import time
while not handler.stats().written:
    time.sleep(0.01)
"""
SHOW = """
assert handler.flush()
stats = handler.stats()
print(stats.written, stats.spooled, stats.recovered, sum(stats.dropped.values()))
"""


def test_what_is_logged_without_a_collector_comes_later(tmp_path: Path) -> None:
    """The page's handler stores, its command reads the spool, and the next run sends it all."""
    assert run(tmp_path, SPOOLING + QUIET + LOG_ONE + SHOW) == "0 1 0 0\n"
    (segment,) = (tmp_path / "spool").glob("*.fstrm")
    line = READ_SPOOL.replace("spool/*.fstrm", f"spool/{segment.name}")
    assert "CQ" in run_command(tmp_path, line)

    address = f"unix://{tmp_path}/dnstap.sock"
    with FstrmCapture(address, tmp_path / "dns.fstrm") as collector:
        run(tmp_path, SPOOLING + QUIET + LOG_ONE + "handler.close()")
        collector.stop()
    assert list((tmp_path / "spool").glob("*.fstrm")) == []
    assert "2 runs, 0 missing" in run_command(tmp_path, CHECK_SEQUENCE)


def test_a_list_of_addresses_uses_the_one_that_is_there(tmp_path: Path) -> None:
    """The page's second example sends to the collector of its list that answers."""
    messages: List[DnstapMessage] = []
    port = free_port()
    code = LISTED.replace(":6000", f":{port}") + QUIET + LOG_ONE
    with DnstapReceiver(f"tcp://127.0.0.1:{port}", messages.append):
        written = f"{SHOW}print(stats.address, list(stats.attempts.values())[1])"
        assert run(tmp_path, code + WAIT_WRITTEN + written).splitlines() == [
            "1 0 0 0",
            f"tcp://127.0.0.1:{port} (0, None)",
        ]
        wait_until(lambda: messages, "the message")


def test_sizes_are_as_computed() -> None:
    """The table of minutes follows from the rate and the bytes of a record."""
    text = (DOCS / AWAY).read_text(encoding="utf-8")
    for rate, size, *minutes in rows_of(text, "records a second"):
        used = int(rate) * int(size) * 60
        assert [int(cell) for cell in minutes] == [
            round(room / used) for room in (1 << 28, 1 << 30, 10 << 30)
        ]
