"""Where `top` gets its messages from: a capture, standard input, or senders that connect.

`collect` runs in one thread and returns when there is no more; a receiver hands messages on in the
threads of its connections. `stop` may be called from any other thread, and by a signal handler.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
from typing import Callable, Optional, Union

from ...address import parse_address
from ...message.message import DnstapMessage
from ...shorten import printable
from ..capture_input import STANDARD_INPUT, Capture
from ..common import DAMAGED, CommandError
from ..receivers import Receivers

__all__ = ["CaptureSource", "ReceiverSource", "Source", "Take", "open_source"]

Take = Callable[[DnstapMessage], None]

CLOSE_TIMEOUT = 5.0  # seconds that senders have at the end to be read and answered
LOOK_INTERVAL = 0.1  # seconds after which `stop` is noticed at the latest
MAX_NAME = 200  # characters of a source's name that are shown
_IS_LISTENED_ON = re.compile(r"(?i)(unix|tcp|tls)://")


class CaptureSource:
    """A capture: a file, or standard input.

    Args:
        path: the file; ``-`` is standard input.
        follow: go on at the end of the file.

    Attributes:
        name: what is shown, printable.
        live: whether it has no end of its own.
        announcement: a line to say when collecting begins, or None.

    Raises:
        CommandError: it cannot be opened, or is not a capture.
    """

    announcement: Optional[str] = None

    def __init__(self, path: str, follow: bool = False) -> None:
        self._capture = Capture(path, follow=follow)
        if not self._capture.opened:
            raise CommandError(str(self._capture.damage), DAMAGED)
        self.name = printable(self._capture.name, MAX_NAME)
        self.live = follow
        self._stopped = False

    @property
    def damage(self) -> Optional[str]:
        """What was found wrong, or None."""
        damage = self._capture.damage
        return None if damage is None else str(damage)

    def collect(self, take: Take) -> None:
        """Hand on message after message until the end, a damaged place, or `stop`."""
        with self._capture as capture:
            for message in capture.messages():
                take(message)
                if self._stopped:
                    break

    def stop(self) -> None:
        """End `collect` with the next message; one that waits for more at the end, at once."""
        self._stopped = True
        if self.live:
            self._capture.close()


class ReceiverSource:
    """A collector that senders connect to; it listens from the start on.

    Args:
        options: with the addresses, and those of TLS.
    """

    live = True

    def __init__(self, options: argparse.Namespace) -> None:
        self._stopped = False  # a plain attribute: a signal handler may set it
        self._take: Optional[Take] = None
        self._is_collecting = threading.Event()
        self._receivers = Receivers(options, {"on_message": self._received})
        self._receivers.start()
        self.announcement = f"listening on {self.name}"

    @property
    def name(self) -> str:
        """The address, with the real port."""
        return printable(", ".join(self._receivers.addresses), MAX_NAME)

    @property
    def damage(self) -> Optional[str]:
        """What was received and could not be counted, or None."""
        lost = self._receivers.total("undecodable")
        return f"{lost} payloads were no dnstap messages, and are not counted" if lost else None

    def collect(self, take: Take) -> None:
        """Hand on what arrives until `stop`, or what interrupts the waiting."""
        self._take = take
        self._is_collecting.set()
        try:
            while not self._stopped:
                time.sleep(LOOK_INTERVAL)
        finally:
            self._receivers.close(CLOSE_TIMEOUT)

    def stop(self) -> None:
        """End `collect`, within a tenth of a second and the time that senders have."""
        self._stopped = True

    def _received(self, message: DnstapMessage) -> None:
        """Hand a message on; a sender that was quicker than `collect` waits for it."""
        self._is_collecting.wait()
        if self._take is not None:
            self._take(message)


Source = Union[CaptureSource, ReceiverSource]


def open_source(options: argparse.Namespace) -> Source:
    """Open the capture, or listen.

    Args:
        options: those of the command line.

    Raises:
        CommandError: the source, or an argument that belongs to it, cannot be used.
        DnstapLoggingError, OSError: the capture cannot be opened, the address not listened on.
    """
    text: str = options.source
    listens = _IS_LISTENED_ON.match(text) is not None
    _check_companions(text, listens, options)
    if listens:
        options.addresses = [text]
        return ReceiverSource(options)
    return CaptureSource(_path_of(text), options.follow)


def _path_of(text: str) -> str:
    """Return the path of a file, as it was written; a port or a socket is not taken for one."""
    if text == STANDARD_INPUT:
        return text
    try:
        address = parse_address(text, argument="SOURCE")
    except ValueError as error:
        raise CommandError(str(error)) from None
    if address.scheme == "kafka":
        raise CommandError(f"{text} is a topic of Kafka, which is not read here")
    return address.path if "://" in text else text


def _check_companions(text: str, listens: bool, options: argparse.Namespace) -> None:
    """Refuse arguments that belong to another kind of source."""
    if options.follow and (listens or text == STANDARD_INPUT):
        raise CommandError("--follow is for a file; leave it out, this goes on by itself")
    for name in ("certfile", "keyfile", "client_ca"):
        if getattr(options, name) and not listens:
            option = "--" + name.replace("_", "-")
            raise CommandError(f"{option} is for a tls:// address to listen on; {text} is none")
