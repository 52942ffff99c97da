"""Large captures: ``read`` and ``check`` take no more memory for them than for small ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM
from tests.cli.samples import dns_wire, payloads, query, response
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, STOP, control, data

FEW, MANY = 1_000, 100_000
MORE_MEMORY = 6 * 1024
"""KiB that the peaks may differ by; the capture itself has 13 MiB."""


def write_capture(path: Path, count: int) -> Path:
    """Write that many messages, with a thousand names and addresses."""
    messages = []
    for number in range(500):
        name = b"\x08" + b"name%04d" % number + b"\7example\0"
        address = f"192.0.{number >> 8}.{number & 255}"
        wires = dns_wire(name), dns_wire(name, flags=0x8183)
        messages.append(query(number, query_message=wires[0], query_address=address))
        messages.append(response(number, response_message=wires[1], query_address=address))
    block = b"".join(map(data, payloads(messages)))
    with path.open("wb") as file:
        file.write(control(START, CONTENT_TYPE))
        for _ in range(count // len(messages)):
            file.write(block)
        file.write(control(STOP))
    return path


MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss, file=sys.stderr)
"""
"""A small program, because what is started has had as much memory, to Linux, as who started it."""


def peak_memory(*arguments: str) -> int:
    """Run a command to its end; return the most memory that it had, in KiB."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *PROGRAM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=with_environment(),
        check=True,
    )
    status, peak = done.stderr.split()
    assert status == "0"
    return int(peak)


@pytest.mark.parametrize("command", ["read", "check"])
def test_constant_memory(command: str, tmp_path: Path) -> None:
    """A hundred times as many messages take the same memory."""
    few = peak_memory(command, str(write_capture(tmp_path / "few", FEW)))
    many = peak_memory(command, str(write_capture(tmp_path / "many", MANY)))

    assert many - few < MORE_MEMORY, f"{few} KiB for {FEW} messages, {many} KiB for {MANY}"
