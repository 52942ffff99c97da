"""The full screen of `top`: drawn by rich, left with the key q. Runs in the main thread."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

from ..common import CommandError
from .layout import Line, Picture, draw
from .sources import Source
from .statistics import SharedTraffic
from .timeline import Rates

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Watch", "require_rich"]

INTERVAL = 0.25  # seconds between two pictures
LAST_WAIT = 5.0  # seconds that the collecting thread may take to end
SILENT_WAIT = 0.5  # the same of a capture: its thread may be waiting for a pipe that is silent
MAX_ROWS = 200  # names that are asked for; more than any screen has lines
QUIT = b"qQ"


def require_rich() -> None:
    """Make sure that the full screen can be drawn.

    Raises:
        CommandError: rich is not installed.
    """
    try:
        import rich  # noqa: F401
    except ImportError:
        raise CommandError(
            "the full-screen view needs rich: install it, or dnstap-logging with its extra "
            "'cli', or print a summary at the end with --summary"
        ) from None


class Watch:
    """Watch a source on the whole terminal until it is left.

    Args:
        source: where the messages come from; it is collected in a thread of its own.
        traffic: what counts them.
    """

    def __init__(self, source: Source, traffic: SharedTraffic) -> None:
        self._source = source
        self._traffic = traffic
        self._rates = Rates()
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._collect, name="dnstap-top", daemon=True)

    def run(self) -> None:
        """Show the traffic until q or Ctrl-C is pressed, or SIGTERM comes."""
        from rich.console import Console
        from rich.live import Live

        console = Console()
        self._thread.start()
        try:
            with (
                Keyboard() as keyboard,
                Live(
                    console=console,
                    screen=True,
                    auto_refresh=False,
                    redirect_stdout=False,
                    redirect_stderr=False,
                ) as live,
            ):
                while True:
                    live.update(self._picture(console, keyboard), refresh=True)
                    if keyboard.wait(INTERVAL) in QUIT:
                        break
        except KeyboardInterrupt:
            pass
        finally:
            self._source.stop()
            self._thread.join(LAST_WAIT if self._source.live else SILENT_WAIT)
        if self._error is not None:
            raise self._error

    def _collect(self) -> None:
        try:
            self._source.collect(self._traffic.take)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._error = error

    def _picture(self, console: Console, keyboard: Keyboard) -> Text:
        self._rates.look(time.monotonic(), self._traffic.messages)
        running = self._thread.is_alive()
        status, alarm = self._status(running)
        picture = Picture(
            self._traffic.summary(MAX_ROWS),
            self._source.name,
            status,
            self._rates.now() if running else None,
            self._rates.history() if self._source.live else (),
            alarm,
            "q quits" if keyboard.there else "Ctrl-C quits",
        )
        width, height = console.size
        return _as_text(draw(picture, width, height))

    def _status(self, running: bool) -> Tuple[str, bool]:
        if self._error is not None:
            return "failed", True
        if self._source.damage is not None:
            return "damaged", True
        if running:
            return ("live" if self._source.live else "reading"), False
        return "whole file read", False


def _as_text(lines: List[Line]) -> Text:
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop", end="")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for part, style in line:
            text.append(part, style)
    return text


def _disable_suspension(terminal: int) -> None:
    """Have Ctrl-Z do nothing: it would leave the shell without echo, on the wrong screen."""
    import termios

    settings = termios.tcgetattr(terminal)
    settings[6][termios.VSUSP] = bytes((os.fpathconf(terminal, "PC_VDISABLE") & 0xFF,))
    termios.tcsetattr(terminal, termios.TCSANOW, settings)


class Keyboard:
    """The keys of the terminal, one by one, without Enter; standard input may be a capture.

    Attributes:
        there: whether there is a terminal to read from.
    """

    def __init__(self) -> None:
        self._terminal: Optional[int] = None
        self._settings: Any = None

    @property
    def there(self) -> bool:
        """Whether keys can be read."""
        return self._terminal is not None

    def __enter__(self) -> Keyboard:
        import termios
        import tty

        try:
            self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
            self._settings = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
            _disable_suspension(self._terminal)
        except (OSError, termios.error):
            self._leave()
        return self

    def __exit__(self, *error: object) -> None:
        import termios

        if self._terminal is not None and self._settings is not None:
            # What was typed ahead is not for the shell. A terminal that is gone needs nothing.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._settings)
        self._leave()

    def _leave(self) -> None:
        if self._terminal is not None:
            os.close(self._terminal)
        self._terminal = None

    def wait(self, seconds: float) -> bytes:
        """Return a key that was pressed; a NUL if none was within so many seconds."""
        terminals = [] if self._terminal is None else [self._terminal]
        ready, _, _ = select.select(terminals, [], [], seconds)
        key = os.read(ready[0], 1) if ready else b""
        if ready and not key:  # the terminal is gone
            raise KeyboardInterrupt
        return key or b"\0"
