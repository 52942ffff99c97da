"""Run one scenario: a program, its collector, and at last the books."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import trustme

from tests.situations.chaos.books import Outcome, check
from tests.situations.chaos.brokers import Brokers
from tests.situations.chaos.collector import Setup as CollectorSetup
from tests.situations.chaos.moments import CollectorProcess
from tests.situations.chaos.plan import Plan
from tests.situations.chaos.program import END_SECONDS
from tests.situations.chaos.program import Setup as ProgramSetup
from tests.situations.chaos.streams import STORED, Stream, read_captures, read_sessions
from tests.situations.chaos.tables import DESTINATIONS, FAULTS, KAFKA

__all__ = ["Certificates", "disks_are_possible", "run_scenario"]

REPOSITORY = Path(__file__).parents[3]

HANG_SECONDS = 2 * END_SECONDS
"""Seconds after which a program that has not ended hangs."""

CAPTURE = "capture.fstrm"
SPOOL = "spool"

WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
"""Newer Pythons warn of forks while threads run, which are our very subject."""

SMALL_DISK = """
mount -t tmpfs -o size=32m tmpfs "$1/disk" && mkdir "$1/disk/captures" || exit 77
shift_folder=$1; shift
"$@"; status=$?
cp -a "$shift_folder/disk/captures" "$shift_folder/kept"
exit $status
"""

TROUBLE = ("Traceback", "Exception ignored", "Fatal", "Error", "Warning")
"""What must not be in a program's stderr."""


class Certificates(NamedTuple):
    """PEM files for TLS."""

    cafile: str
    good: str
    wrong: str


def make_certificates(folder: Path) -> Certificates:
    """Make a collector's certificate, and one that nobody trusts."""
    found = Certificates(*(str(folder / name) for name in ("ca.pem", "good.pem", "wrong.pem")))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(found.cafile)
    for issuer, path in ((authority, found.good), (trustme.CA(), found.wrong)):
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return found


def _unshare() -> List[str]:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--mount"]


def disks_are_possible() -> bool:
    """Return whether a process can have a small disk of its own here."""
    with contextlib.suppress(OSError):
        command = [*_unshare(), "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def free_port() -> int:
    """Return a port that nothing listens on.

    Not one of those that the system gives to clients: while the collector is away, some client
    could have it, or even be connected to itself.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Scenario:
    """One plan, carried out in a folder of its own."""

    def __init__(self, plan: Plan, folder: Path, certificates: Certificates) -> None:
        self.plan = plan
        self.folder = folder
        self._certificates = certificates
        self._calm = threading.Event()
        self._hangs = False
        for name in ("reports", "sessions", "disk"):
            (folder / name).mkdir()
        self._small_disk = any(FAULTS[name].needs_namespace for name in plan.faults)
        if not self._small_disk:
            (folder / "disk" / "captures").mkdir()
        # One of them: a process of ours, or Kafka's brokers; of a file, the first is not started.
        path = folder / "chaos.sock" if plan.destination == "unix" else None
        self._process = CollectorProcess(folder, path)
        self._brokers = Brokers(plan.seed) if plan.destination in KAFKA else None
        self._collector = self._brokers or self._process
        self._address = self._make_address()

    def _make_address(self) -> str:
        kind = self.plan.destination
        if self._brokers is not None:
            self._brokers.start()
            return self._brokers.address
        if kind == "unix":
            return f"unix://{self._process.path}"
        if kind == "abstract":
            return f"unix://@chaos-{os.getpid()}-{self.folder.name}"
        if kind in ("tcp", "tls"):
            return f"{kind}://127.0.0.1:{free_port()}"
        return f"file://{self.folder / 'disk' / 'captures' / CAPTURE}"

    def run(self) -> Outcome:
        """Run it to its end, and check it."""
        if DESTINATIONS[self.plan.destination].has_collector:
            self._set_up_collector()
        try:
            failures = self._run_program()
        finally:
            self._calm.set()
            self._collector.end(signal.SIGTERM)
        paths = sorted((self.folder / "reports").glob("*.json"))
        reports: List[Dict[str, Any]] = [json.loads(path.read_text()) for path in paths]
        if self._hangs or not any(report["process"] == "0" for report in reports):
            return Outcome([*failures, "there is no report of the program"], Counter(), {})
        outcome = check(self.plan, reports, self._streams())
        return outcome._replace(failures=failures + outcome.failures)

    def _set_up_collector(self) -> None:
        setup = CollectorSetup(
            self.plan.seed,
            self._address,
            self.plan.sessions,
            self._certificates.good,
            self._certificates.wrong,
        )
        (self.folder / "collector.json").write_text(json.dumps(setup._asdict()))
        if not any(name == "absent" for _, _, name in self.plan.moments[:1]):
            self._collector.start()

    def _run_program(self) -> List[str]:
        """Run the program to its end; return what is wrong with that."""
        arguments = {"cafile": self._certificates.cafile} if self.plan.destination == "tls" else {}
        if "spool" in self.plan.options:
            arguments["spool"] = str(self.folder / SPOOL)
        setup = ProgramSetup(self.plan._asdict(), self._address, arguments)
        (self.folder / "program.json").write_text(json.dumps(setup._asdict()))
        command = [
            sys.executable,
            *WARNINGS,
            "-m",
            "tests.situations.chaos.program",
            str(self.folder),
        ]
        if self._small_disk:
            command = [*_unshare(), "sh", "-c", SMALL_DISK, "sh", str(self.folder), *command]
        stderr = self.folder / "stderr"
        with (
            stderr.open("wb") as errors,
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            self._talk_with(process)
        failures = []
        if process.returncode != 0:
            failures.append(f"the program ended with status {process.returncode}")
        text = stderr.read_text(errors="replace")
        if self._hangs or any(word in text for word in TROUBLE):
            failures.append(f"the program's stderr:\n{text[-20_000:]}")
        return failures

    def _talk_with(self, process: subprocess.Popen[str]) -> None:
        """Have things happen to the collector, and end when the program wants it."""
        watchdog = threading.Timer(HANG_SECONDS, self._give_up, (process,))
        watchdog.start()
        life = threading.Thread(
            target=self._collector.live_through, args=(self.plan.moments, self._calm)
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            for line in process.stdout:
                if line == "started\n":
                    life.start()
                elif line == "settle\n":
                    self._calm_down(life)
                process.stdin.write("go on\n")
                process.stdin.flush()
            process.wait()
            self._calm_down(life)
        finally:
            watchdog.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has left behind

    def _calm_down(self, life: threading.Thread) -> None:
        """Have all be well from now on."""
        self._calm.set()
        if life.ident is not None:
            life.join()
        (self.folder / "calm").touch()
        if DESTINATIONS[self.plan.destination].has_collector:
            self._collector.start()

    def _give_up(self, process: subprocess.Popen[str]) -> None:
        """Have a program that hangs show where, and end it."""
        self._hangs = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGUSR1)
            threading.Event().wait(2)
            os.killpg(process.pid, signal.SIGKILL)

    def _streams(self) -> List[Stream]:
        """Return what arrived, and what lies in the spool: that has not gone out."""
        found = self._arrived()
        if (self.folder / SPOOL).exists():
            found += [each._replace(kind=STORED) for each in self._stored()]
        return found

    def _arrived(self) -> List[Stream]:
        if self._brokers is not None:
            return self._brokers.streams()
        if DESTINATIONS[self.plan.destination].has_collector:
            bidirectional = self.plan.options.get("bidirectional", True)
            return read_sessions(self.folder / "sessions", bidirectional)
        kept = self.folder / "kept"
        return read_captures(
            kept if self._small_disk else self.folder / "disk" / "captures", "capture"
        )

    def _stored(self) -> List[Stream]:
        found = read_captures(self.folder / SPOOL, "")
        return [each for each in found if each.name.endswith(".fstrm")]


def run_scenario(plan: Plan, folder: Path, certificates: Certificates) -> Outcome:
    """Run a scenario in an empty folder, and check it."""
    return Scenario(plan, folder, certificates).run()
