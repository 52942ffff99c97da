"""A network in the test's own hands: addresses that swallow every packet, and a DNS that is silent.

It is a network namespace with nothing but its loopback. Of 198.51.100.0/24 (RFC 5737) either a
collector can listen on an address, or packets to it are dropped silently.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.helpers.namespaces import in_namespaces

HOST = "198.51.100.2"
NETWORK = "198.51.100.0/24"

FEW_RETRIES = 1
"""How often the system sends again what is not acknowledged, for about a second in all."""


class PrivateNetwork:
    """The network of this process, as it was just made.

    Args:
        folder: the test's; also for the file that takes the place of resolv.conf.

    Attributes:
        folder: as given.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _ip("link", "set", "lo", "up")
        # Packets to unused addresses in it come back, and are dropped.
        _ip("route", "add", NETWORK, "dev", "lo")
        Path("/proc/sys/net/ipv4/tcp_retries2").write_text(str(FEW_RETRIES))

    def join(self) -> None:
        """Add the addresses."""
        _ip("route", "add", "local", NETWORK, "dev", "lo", "src", "127.0.0.1")

    def cut(self) -> None:
        """Swallow every packet, also of connections that there are."""
        _ip("route", "del", "local", NETWORK, "dev", "lo", "src", "127.0.0.1")

    def silence_dns(self) -> socket.socket:
        """Have names looked up at a DNS server that never answers; return its socket."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 53))
        configuration = self.folder / "resolv.conf"
        configuration.write_text("nameserver 127.0.0.1\n")
        command = ["mount", "--bind", str(configuration), "/etc/resolv.conf"]
        subprocess.run(command, check=True)
        return server


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


on_a_private_network = in_namespaces(PrivateNetwork, "net", "mount")
"""Decorator: run the body of a test in a process of its own, on a network of its own."""
