"""A network in the test's own hands: addresses that swallow every packet, and a DNS that is silent.

It is a network namespace with nothing but its loopback. Of 198.51.100.0/24 (RFC 5737) either a
collector can listen on an address, or packets to it are thrown away without a word.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

HOST = "198.51.100.2"
NETWORK = "198.51.100.0/24"
DEADLINE = 120  # seconds for one test's process: generous, since nothing here is a matter of speed

FEW_RETRIES = 3
"""How often the system sends again what is not acknowledged: some seconds and not a quarter of an
hour."""

# Whoever is not root becomes it in a user namespace.
NAMESPACE = [
    *("unshare", *([] if os.geteuid() == 0 else ["--map-root-user"])),
    *("--net", "--mount"),
]
REPOSITORY = Path(__file__).parents[2]

RUN = """
import importlib, sys
from pathlib import Path
module, name, folder = sys.argv[1:]
module = importlib.import_module(module)
network = module.PrivateNetwork(Path(folder))
print("set up", flush=True)
getattr(module, name).body(network, Path(folder))
"""


class PrivateNetwork:
    """The network of this process, as it was just made.

    Args:
        folder: for the file that takes the place of resolv.conf.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        _ip("link", "set", "lo", "up")
        # What is sent there and is nobody's address comes back in, and is thrown away.
        _ip("route", "add", NETWORK, "dev", "lo")
        Path("/proc/sys/net/ipv4/tcp_retries2").write_text(str(FEW_RETRIES))

    def join(self) -> None:
        """Let the addresses exist."""
        _ip("route", "add", "local", NETWORK, "dev", "lo", "src", "127.0.0.1")

    def cut(self) -> None:
        """Swallow every packet, also of connections that there are."""
        _ip("route", "del", "local", NETWORK, "dev", "lo", "src", "127.0.0.1")

    def silence_dns(self) -> socket.socket:
        """Have names looked up at a DNS server that never answers; return its socket."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 53))
        configuration = self._folder / "resolv.conf"
        configuration.write_text("nameserver 127.0.0.1\n")
        command = ["mount", "--bind", str(configuration), "/etc/resolv.conf"]
        subprocess.run(command, check=True)
        return server


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def on_a_private_network(
    body: Callable[[PrivateNetwork, Path], None],
) -> Callable[[Path], None]:
    """Run the body of a test in a process of its own, on a network of its own."""

    @functools.wraps(body)
    def test(tmp_path: Path) -> None:
        done = subprocess.run(
            [
                *(*NAMESPACE, sys.executable, "-W", "error", "-c", RUN),
                *(body.__module__, body.__name__, str(tmp_path)),
            ],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        if "set up" not in done.stdout:
            pytest.fail(
                f"this test needs network and mount namespaces: {' '.join(NAMESPACE)}; "
                f"a container must allow them (CAP_SYS_ADMIN), and ip must be there (iproute2). "
                f"Here: {done.stderr}"
            )
        assert done.returncode == 0, done.stdout + done.stderr

    test.body = body  # type: ignore[attr-defined]
    del test.__wrapped__  # pytest would look there for the arguments, and ask for fixtures
    return test
