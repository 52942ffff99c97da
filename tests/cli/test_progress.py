"""Terminals: the progress bar of `send`, on a terminal and nowhere else; a capture, on none."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from dnstap_logging import DnstapReceiver
from tests.cli.programs import DEADLINE, command
from tests.helpers.programs import with_environment
from tests.helpers.support import capture, dnstap_payload

COLOR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """Return a capture that takes a moment to send at 200 a second."""
    path = tmp_path / "sent.fstrm"
    path.write_bytes(capture(dnstap_payload(number) for number in range(100)))
    return path


def send_at_terminal(
    sent: Path, code: Optional[str] = None, **variables: str
) -> Tuple[int, str, str]:
    """Send it with standard error on a terminal; return the status and both outputs.

    Args:
        sent: the capture.
        code: run before the command.
        variables: of the environment.
    """
    ours, theirs = pty.openpty()
    arguments = ["send", str(sent), "--rate", "200"]
    with DnstapReceiver(f"unix://{sent.parent}/d.sock", on_frame=len) as receiver:
        arguments.append(str(receiver.address))
        line = command(*arguments)
        if code is not None:
            script = f"{code}\nimport sys\nfrom dnstap_logging.cli.main import main\n"
            line = [*line[:3], "-c", f"{script}sys.exit(main({arguments!r}))"]
        with subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env=with_environment(TERM="xterm", COLUMNS="100", **variables),
        ) as process:
            os.close(theirs)
            shown = read_terminal(ours)
            printed, _ = process.communicate(timeout=DEADLINE)
    return process.returncode, printed, shown


def read_terminal(descriptor: int) -> str:
    """Read what a program writes to a terminal, until it ends."""
    parts: List[bytes] = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:
        pass  # so Linux tells that nobody has the other end open any more
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()


def test_a_terminal_shows_how_far_it_is(sent: Path) -> None:
    """Messages and percent grow; standard output has the last line only, as without a terminal."""
    status, printed, shown = send_at_terminal(sent)

    assert status == 0
    assert "100 of 100 messages sent, 100 confirmed" in printed
    plain = COLOR.sub("", shown)
    percents = [int(number) for number in re.findall(r"(\d+)%", plain)]
    messages = [int(number) for number in re.findall(r"(\d+) messages", plain)]
    assert percents == sorted(percents)
    assert 0 < max(percents) <= 100
    assert 1 < max(messages) <= 100
    assert COLOR.search(shown), "no color on a terminal that has it"


def test_no_color_is_respected(sent: Path) -> None:
    """NO_COLOR: the bar is there, without a color."""
    status, _, shown = send_at_terminal(sent, NO_COLOR="1")

    assert (status, "messages" in shown) == (0, True)
    colors = [each for each in COLOR.findall(shown) if re.search(r"\[(3|4|9)\d", each)]
    assert colors == []


def test_without_rich_there_is_no_bar(sent: Path) -> None:
    """Without rich, the capture is sent silently."""
    status, printed, shown = send_at_terminal(sent, "import sys; sys.modules['rich'] = None")

    assert (status, shown) == (0, "")
    assert "100 confirmed" in printed


def test_no_capture_on_a_terminal(tmp_path: Path) -> None:
    """`listen --write -` at a terminal: refused in one line, before anything is listened on."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("listen", f"unix://{tmp_path}/d.sock", "--write", "-"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env=with_environment(),
        timeout=DEADLINE,
        check=False,
    )
    os.close(theirs)

    assert (done.returncode, read_terminal(ours)) == (2, "")
    assert "standard output is a terminal" in done.stderr
    assert done.stderr.count("\n") == 1
