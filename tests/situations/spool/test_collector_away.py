"""A collector that stands still and then is gone, under load: nothing is dropped or missing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Tuple

import pytest

from tests.helpers.programs import started_program
from tests.helpers.support import capture, wait_until
from tests.situations.faults.receivers import (
    DEADLINE,
    START_FRAME,
    Captures,
    Witness,
    wait_for_records,
)
from tests.situations.interop.captures import split_frames
from tests.situations.interop.collectors import free_address
from tests.situations.interop.taps import tapped
from tests.situations.interop.tls_peers import make_pki
from tests.situations.spool.scenes import TIMES, SteadyLoad, audit, check_whole, segments, wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

AWAY_RATE = 2000
"""Records a second while the collector is gone."""

TERMINATOR_HOLDS = 32 * 1024 * 1024
"""resend_bytes through a TLS terminator, which holds records that the collector has not read."""

TERMINATOR_TIMEOUT = 10.0
"""Its FINISH comes behind all that it holds, and what is not confirmed in time is given up."""


class Times(NamedTuple):
    """Seconds for which the collector is stopped, and for which it is gone; and `timeout`."""

    stopped: float
    gone: float
    timeout: float


SHORT = Times(stopped=1.5, gone=0.5, timeout=0.5)
FULL = Times(stopped=60.0, gone=600.0, timeout=5.0)
TIMES_OF = [
    pytest.param(SHORT, id="short"),
    pytest.param(FULL, id="full", marks=pytest.mark.hours),
]

TERMINATOR = """
import ssl, sys, threading
from tests.situations.interop.tls_peers import TlsTerminator
target, certfile, keyfile = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certfile, keyfile)
threading.excepthook = lambda arguments: None  # a collector that is gone is no fault of ours
with TlsTerminator(target, context) as terminator:
    print(terminator.address, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def collected(scheme: str, folder: Path) -> Iterator[Tuple[Captures, str, Dict[str, Any]]]:
    """Return a collector, the address to log to, and the handler's arguments for it."""
    if scheme != "tls":
        address = free_address(scheme, folder)
        yield Captures(address, folder), address, {}
        return
    pki = make_pki(folder)
    inside = free_address("unix", folder)
    files = [pki.server_certfile, pki.server_keyfile]
    command = [sys.executable, "-c", TERMINATOR, inside, *files]
    with started_program(folder, command, stdin=subprocess.PIPE) as terminator:
        assert terminator.stdout is not None
        address = terminator.stdout.readline().strip()
        options = {"resend_bytes": TERMINATOR_HOLDS, "timeout": TERMINATOR_TIMEOUT}
        yield Captures(inside, folder), address, {"cafile": pki.cafile, **options}


@pytest.mark.parametrize("times", TIMES_OF)
@pytest.mark.parametrize("rate", [5000, 20_000])
@pytest.mark.parametrize("scheme", ["unix", "tcp", pytest.param("tls", marks=pytest.mark.slow)])
def test_a_collector_that_stands_still_and_then_is_gone(
    scheme: str, rate: int, times: Times, tmp_path: Path
) -> None:
    """Stopped, continued, ended in order, started again: dropped 0, missing 0."""
    spool = tmp_path / "spool"
    with collected(scheme, tmp_path) as (captures, address, options), contextlib.ExitStack() as end:
        end.callback(captures.kill)
        captures.start()
        tap = end.enter_context(
            tapped(
                address,
                spool=spool,
                sequence=True,
                queue_size=2 * rate,
                close_timeout=DEADLINE,
                **{"timeout": times.timeout, **TIMES, **options},
            )
        )
        with SteadyLoad(tap, rate) as load:
            wait_for_records(captures)
            captures.fall_behind()
            load.go_on(times.stopped)
            wait_until(lambda: tap.stats().spooled > 0, "records to be stored", DEADLINE)
            captures.go_on()
            load.rate = AWAY_RATE
            wait_until(lambda: tap.stats().spooled == 0, "what was stored to be sent", 300)
            captures.end()
            load.go_on(times.gone)
            captures.start()
            wait_until(lambda: tap.stats().spooled == 0, "what was stored to be sent", 300)
        load.check()
        assert tap.handler.flush(DEADLINE)
        wait_for(tap, spooled=0, queued=0, in_flight=0)
        stats = tap.close()
        captures.end()

    assert sum(stats.dropped.values()) == 0, stats
    assert (stats.logged, stats.written, stats.recovered) == (load.logged, load.logged, 0), stats
    assert segments(spool) == []
    check_whole(sorted(tmp_path.glob("capture*.fstrm")), load.logged)


@pytest.mark.parametrize("times", TIMES_OF)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_is_killed_while_it_stands_still(
    scheme: str, times: Times, tmp_path: Path
) -> None:
    """Nothing is dropped; missing is at most what is counted as unconfirmed."""
    witness = Witness(free_address(scheme, tmp_path), tmp_path)
    options = {"timeout": times.timeout, "queue_size": 10_000, "close_timeout": DEADLINE, **TIMES}
    try:
        witness.start()
        with tapped(witness.address, spool=tmp_path / "spool", sequence=True, **options) as tap:
            with SteadyLoad(tap, 5000) as load:
                wait_until(witness.has_records, "the first records", DEADLINE)
                witness.fall_behind()
                load.go_on(times.stopped / 2)
                wait_until(lambda: tap.stats().spooled > 0, "records to be stored", DEADLINE)
                witness.end()
                witness.start()
                wait_until(witness.has_records, "records after the return", DEADLINE)
            load.check()
            wait_for(tap, spooled=0, queued=0, in_flight=0)
            stats = tap.close()
    finally:
        witness.end()

    assert sum(stats.dropped.values()) == 0, stats
    (run,) = audit(*(_as_capture(path) for path in sorted(tmp_path.glob("seen-*"))))
    assert run["missing"] + load.logged - run["last"] <= stats.unconfirmed, (run, stats)
    if scheme == "unix":
        assert (run["missing"], run["last"]) == (0, load.logged), (run, stats)


def _as_capture(path: Path) -> Path:
    """Write what a witness saw of one session as a capture; return its path."""
    _, start, frames = path.read_bytes().partition(START_FRAME)
    whole = path.with_name(f"{path.name}.fstrm")
    whole.write_bytes(capture(split_frames(start + frames).payloads))
    return whole
