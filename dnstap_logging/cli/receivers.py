"""The receivers of a collector: one for each address, with TLS where the address says so."""

from __future__ import annotations

import argparse
import logging
import threading
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ..address import Address, parse_address
from ..diagnostics import LOGGER_NAME, REPORT_INTERVAL
from ..receiver.receiver import DnstapReceiver
from ..transport.tls import load_own_certificate, make_server_context
from . import numbers
from .common import CommandError
from .open_files import fit_connections

if TYPE_CHECKING:
    import ssl

__all__ = ["Receivers", "add_arguments", "add_connection_arguments"]

MAX_CONNECTIONS = 64
"""Connections to an address at a time, as `DnstapReceiver` has it."""

MOST_CONNECTIONS = 1_000_000
"""Each has a thread, so that no system gets near this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the addresses, and the arguments of connections and of TLS."""
    parser.add_argument(
        "addresses",
        metavar="ADDRESS",
        nargs="+",
        help="unix:///path, unix://@name, tcp://host:port or tls://host:port; port 0 is a free one",
    )
    add_connection_arguments(parser)


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many connections there may be, and the arguments of TLS."""
    parser.add_argument(
        "--max-connections",
        type=numbers.count(1, MOST_CONNECTIONS),
        default=MAX_CONNECTIONS,
        metavar="N",
        help="senders served at a time by each address; further ones are turned away (%(default)s)",
    )
    tls = parser.add_argument_group("for tls://")
    tls.add_argument("--certfile", "--cert", metavar="FILE", help="our certificate, with its chain")
    tls.add_argument("--keyfile", "--key", metavar="FILE", help="its key, if not in --certfile")
    tls.add_argument(
        "--client-ca", metavar="FILE", help="only clients with a certificate of this authority"
    )


class Receivers:
    """All receivers of a command, started and ended together.

    Args:
        options: parsed by a parser that `add_arguments` was called with.
        callbacks: the arguments by which the receivers call.
        verbose: say everything of every connection.

    Raises:
        CommandError: an address, or the options of TLS, cannot be used.
    """

    def __init__(
        self, options: argparse.Namespace, callbacks: Dict[str, Any], verbose: bool = False
    ) -> None:
        self._options = options
        connections, self._notice = fit_connections(options.max_connections, len(options.addresses))
        try:
            addresses = [_parse(text) for text in options.addresses]
            self._context = self._make_context(addresses)
            self._receivers: List[DnstapReceiver] = [
                DnstapReceiver(
                    text,
                    max_connections=connections,
                    ssl_context=self._context if address.scheme == "tls" else None,
                    report_interval=0 if verbose else REPORT_INTERVAL,
                    **callbacks,
                )
                for text, address in zip(options.addresses, addresses)
            ]
        except (TypeError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _make_context(self, addresses: List[Address]) -> Optional[ssl.SSLContext]:
        options = self._options
        for name in ("certfile", "keyfile", "client_ca"):
            if getattr(options, name) and all(each.scheme != "tls" for each in addresses):
                option = "--" + name.replace("_", "-")
                raise CommandError(f"{option} is for tls://, and no address is")
        secure = [each for each in addresses if each.scheme == "tls"]
        if not secure:
            return None
        if not options.certfile:
            raise CommandError(
                f"{secure[0]} needs --certfile, and --keyfile if the key is in another file"
            )
        return make_server_context(options.certfile, options.keyfile, options.client_ca)

    @property
    def addresses(self) -> List[str]:
        """The addresses, with their real ports once started."""
        return [str(receiver.address) for receiver in self._receivers]

    def start(self) -> None:
        """Listen on all addresses; say it if fewer connections are served than asked for.

        Raises:
            TransportError: one of them cannot be had; then none is listened on.
        """
        if self._notice:
            logging.getLogger(LOGGER_NAME).warning(self._notice)
        for receiver in self._receivers:
            try:
                receiver.start()
            except BaseException:
                self.close(0)
                raise

    def renew(self) -> None:
        """Read the certificate again, for connections that come from now on.

        Raises:
            ValueError: it cannot be loaded; the one before stays in use.
        """
        if self._context is not None:
            load_own_certificate(self._context, self._options.certfile, self._options.keyfile)

    def close(self, timeout: float) -> None:
        """Take what has arrived, answer it, and close all connections, in so many seconds."""
        threads = [threading.Thread(target=each.close, args=(timeout,)) for each in self._receivers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def total(self, name: str) -> int:
        """Return the sum of a counter of `ReceiverStats`."""
        return sum(getattr(receiver.stats(), name) for receiver in self._receivers)


def _parse(text: str) -> Address:
    return parse_address(text, listen=True, argument="ADDRESS")
