"""The memory of the whole program, however many messages come."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from dnstap_logging.codec.proto import Dnstap
from tests.cli.programs import DEADLINE, command
from tests.cli.top.samples import waiting_in
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, STOP, control, data, wait_until

FEW, MANY = 25_000, 150_000
"""With a query a millisecond, the first is enough to fill every table to its bound."""

ROOM = 6 * 1024  # KiB by which the allocators may differ between two runs


def flood(number: int) -> Iterator[bytes]:
    """Yield queries for as many names, by as many clients, all without a response."""
    begin = 1_767_261_600_000
    for each in range(number):
        dnstap = Dnstap(type=Dnstap.MESSAGE)
        message = dnstap.message
        message.type = message.CLIENT_QUERY
        seconds, milliseconds = divmod(begin + each, 1000)
        message.query_time_sec, message.query_time_nsec = seconds, milliseconds * 10**6
        message.query_address = struct.pack(">I", 0x0A000000 + each)
        message.query_port = 1024 + each % 60000
        header = struct.pack(">6H", each % 65536, 0x0100, 1, 0, 0, 0)
        message.query_message = header + b"\x08%08x\7example\0\0\1\0\1" % each
        yield bytes(dnstap.SerializeToString())


def peak_of(number: int) -> Tuple[int, int]:
    """Run `top` over a flood; return its messages, and its largest size in memory in KiB."""
    process = subprocess.Popen(
        command("top", "--json", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=with_environment(),
    )
    assert process.stdin is not None
    process.stdin.write(control(START, CONTENT_TYPE))
    for payload in flood(number):
        process.stdin.write(data(payload))
    process.stdin.flush()
    wait_until(lambda: waiting_in(process.stdin) == 0, "the flood to be taken", DEADLINE)
    # Not getrusage: what that says begins with the size of the process that forked.
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    out, _ = process.communicate(control(STOP), timeout=DEADLINE)
    assert process.returncode == 0
    return json.loads(out)["messages"], int(peak[1])


@pytest.mark.slow
def test_a_flood_of_random_names_does_not_grow_the_program() -> None:
    """Six times as many queries, each for another name from another client and never answered,
    take no more memory.
    """
    few, peak_of_few = peak_of(FEW)
    many, peak_of_many = peak_of(MANY)

    assert (few, many) == (FEW, MANY)
    assert peak_of_many - peak_of_few < ROOM
