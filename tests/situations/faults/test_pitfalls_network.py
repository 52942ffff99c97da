"""A network that swallows packets, and a DNS that is silent: found out, and felt by nobody.

Each test is a process of its own on a network of its own (see `private_network`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from typing import Iterator

from dnstap_logging.transport import connect
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.private_network import HOST, PrivateNetwork, on_a_private_network
from tests.situations.faults.receivers import DEADLINE, OPTIONS
from tests.situations.faults.waits import check_nobody_waits, check_one_line
from tests.situations.interop.collectors import FstrmCapture
from tests.situations.interop.taps import Tap, numbers_in, tapped

ADDRESS = f"tcp://{HOST}:6000"
COUNT = 10


@contextlib.contextmanager
def collected() -> Iterator[Said]:
    """Collect the library's own diagnostics, as the fixture does."""
    logger = logging.getLogger("dnstap_logging")
    said = Said()
    logger.addHandler(said)
    logger.setLevel(logging.INFO)
    yield said
    logger.removeHandler(said)


@on_a_private_network
def test_a_black_hole(network: PrivateNetwork) -> None:
    """An address that swallows every packet is given up at the timeout; no log call waits."""
    with collected() as said:
        check_one_line(said, "no answer in 0.3 s", address=ADDRESS)
    check_nobody_waits(address=ADDRESS)


@on_a_private_network
def test_a_dns_that_does_not_answer(network: PrivateNetwork) -> None:
    """A name that a real resolver waits for is given up at the timeout; no log call waits."""
    address = "tcp://collector.example:6000"
    with network.silence_dns() as server:
        with collected() as said:
            check_one_line(said, "the name was not resolved in 0.3 s", address=address)
        assert b"\x09collector\x07example" in server.recv(512), "the DNS was not asked"
        check_nobody_waits(address=address)


@on_a_private_network
def test_a_connection_that_is_cut_under_load(network: PrivateNetwork) -> None:
    """Packets vanish with records under way: ETIMEDOUT, a new session, and all is there."""
    network.join()
    path = network.folder / "capture.fstrm"
    with FstrmCapture(ADDRESS, path) as collector, collected() as said:
        with tapped(ADDRESS, **OPTIONS) as tap:
            first_records(tap)
            network.cut()
            tap.log_numbers(range(COUNT, 2 * COUNT))
            come_back(tap, network, said)
            stats = tap.close()
        collector.stop()

    numbers = Counter(numbers_in(path))
    assert sorted(numbers) == list(range(2 * COUNT))
    assert sum(numbers.values()) <= 2 * COUNT + stats.resent
    assert (stats.resent, stats.unconfirmed, stats.written) == (2 * COUNT, 0, 2 * COUNT), stats


@on_a_private_network
def test_a_connection_that_is_cut_while_idle(network: PrivateNetwork) -> None:
    """Packets vanish while nothing is logged: keepalive finds out, and the session is renewed."""
    network.join()
    for name, soon in (("IDLE", 1), ("INTERVAL", 1), ("COUNT", 1)):  # not two minutes
        setattr(connect, f"KEEPALIVE_{name}", soon)
    path = network.folder / "capture.fstrm"
    with FstrmCapture(ADDRESS, path) as collector, collected() as said:
        with tapped(ADDRESS, **OPTIONS) as tap:
            first_records(tap)
            network.cut()
            come_back(tap, network, said)
            tap.log_numbers(range(COUNT, 2 * COUNT))
            stats = tap.close()
        collector.stop()

    assert sorted(set(numbers_in(path))) == list(range(2 * COUNT))
    assert (stats.resent, stats.unconfirmed) == (COUNT, 0), stats


def first_records(tap: Tap) -> None:
    """Begin a session, with some records in it."""
    tap.log_numbers(range(COUNT))
    assert tap.handler.flush(DEADLINE), tap.stats()


def come_back(tap: Tap, network: PrivateNetwork, said: Said) -> None:
    """Let packets through again when the handler has noticed that they vanish."""
    wait_until(lambda: tap.stats().disconnects == 1, "the loss to be noticed", DEADLINE)
    assert "the peer does not answer" in said.wait_for("session ended")
    network.join()
    wait_until(lambda: tap.stats().connects == 2, "the next session", DEADLINE)
