"""Several collectors: which one is used, when another one is, and the way back."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReceiver, Stats
from tests.delivery.records import log
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, free_port, wait_until

FAST: Dict[str, Any] = {"report_interval": 0, "reconnect_interval": 0.01}
SOON = 0.05
"""Seconds of prefer_after where a test waits for it."""

Ports = List[Optional[int]]


class Collector:
    """A receiver that comes and goes, and the ports of the queries it got."""

    def __init__(self, address: str, **arguments: Any) -> None:
        self.address = address
        self.ports: Ports = []
        self._arguments = arguments
        self._receiver: Optional[DnstapReceiver] = None

    def start(self) -> Collector:
        """Listen."""
        self._receiver = DnstapReceiver(self.address, self._take, **self._arguments).start()
        return self

    def _take(self, message: DnstapMessage) -> None:
        self.ports.append(message.query_port)

    def stop(self) -> None:
        """End, in order."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.close()

    def has(self, port: int) -> Callable[[], bool]:
        """Return a function that says whether this query has come."""
        return lambda: port in self.ports

    def sessions(self) -> int:
        """Return how many senders came."""
        assert self._receiver is not None
        return self._receiver.stats().connections


class Two:
    """Two collectors that do not run yet, and what makes handlers for them."""

    def __init__(self, folder: Path) -> None:
        self.first = Collector(f"unix://{folder}/first.sock")
        self.second = Collector(f"unix://{folder}/second.sock")
        self.handlers: List[DnstapHandler] = []

    @property
    def addresses(self) -> List[str]:
        """Both, in order."""
        return [self.first.address, self.second.address]

    def handler(self, **arguments: Any) -> DnstapHandler:
        """Return a handler for both."""
        handler = DnstapHandler(self.addresses, **{**FAST, **arguments})
        self.handlers.append(handler)
        return handler

    def end(self) -> None:
        """Close everything."""
        for handler in self.handlers:
            handler.close()
        self.first.stop()
        self.second.stop()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Two collectors on unix sockets."""
    both = Two(tmp_path)
    yield both
    both.end()


def searches() -> List[threading.Thread]:
    """Return the threads that look for an earlier address now."""
    return [thread for thread in threading.enumerate() if thread.name == "dnstap-search"]


def checked(handler: DnstapHandler) -> Stats:
    """Return the books, which balance."""
    stats = handler.stats()
    assert_balanced(stats)
    return stats


def test_the_first_that_shakes_hands_is_used(two: Two, said: Said) -> None:
    """Nobody listens at the first address: the second one is used at once, and is named."""
    two.second.start()
    handler = two.handler(reconnect_interval=60)  # a wait for it would not end in this test
    log(handler, 1)
    wait_until(two.second.has(1), "the record at the second collector")

    stats = checked(handler)
    assert (stats.address, stats.connected) == (two.second.address, True)
    failures, error = stats.attempts[two.first.address]
    assert failures == 1
    assert error is not None
    assert "ENOENT" in error
    assert stats.attempts[two.second.address] == (0, None)
    assert stats.last_error == f"{two.first.address}: {error}"
    said.wait_for(f"{two.first.address}: no such socket")
    line = said.wait_for("connected, instead of")
    assert line == f"{two.second.address}: connected, instead of {two.first.address}"


def test_when_one_fails_the_next_is_used_at_once(two: Two, said: Said) -> None:
    """The first goes, and then the second, whose backoffs do not matter to each other."""
    two.first.start()
    two.second.start()
    handler = two.handler(reconnect_interval=60)
    log(handler, 1)
    wait_until(two.first.has(1), "the record at the first collector")
    assert checked(handler).address == two.first.address
    assert two.second.sessions() == 0

    two.first.stop()
    log(handler, 2)
    wait_until(two.second.has(2), "the record at the second collector")
    stats = checked(handler)
    assert (stats.address, stats.connects, stats.disconnects) == (two.second.address, 2, 1)
    assert stats.attempts[two.first.address][0] == 1
    said.wait_for(f"{two.second.address}: connected, instead of {two.first.address}")


def test_without_a_session_the_address_is_the_first(two: Two) -> None:
    """All are gone: the books name the first, and each one's failures."""
    two.second.start()
    handler = two.handler()
    log(handler, 1)
    wait_until(two.second.has(1), "the record at the second collector")
    two.second.stop()
    stats = wait_until(
        lambda: (lambda found: not found.connected and found)(checked(handler)), "the end"
    )
    assert stats.address == two.first.address
    wait_until(
        lambda: all(failures > 3 for failures, _ in checked(handler).attempts.values()),
        "attempts at both",
    )

    two.first.start()
    log(handler, 2)
    wait_until(two.first.has(2), "the record at the first collector, which came back")
    assert checked(handler).attempts[two.first.address][0] == 0


def test_the_way_back(two: Two, said: Said) -> None:
    """After prefer_after the first one is used again: nothing is lost, and nothing comes twice."""
    two.second.start()
    handler = two.handler(prefer_after=SOON)
    log(handler, 0)
    wait_until(two.second.has(0), "the record at the second collector")
    said.wait_for(f"{two.first.address}: not back yet: no such socket")
    failures = checked(handler).attempts[two.first.address][0]
    assert failures >= 2, "the attempt at the beginning and the search"

    two.first.start()
    number = 0

    def goes_back() -> bool:
        nonlocal number
        number += 1
        log(handler, number)
        return checked(handler).address == two.first.address

    wait_until(goes_back, "the return to the first collector")
    assert handler.flush()
    log(handler, number + 1)
    wait_until(two.first.has(number + 1), "the record at the first collector")
    said.wait_for(f"{two.first.address}: connected, back from {two.second.address}")
    said.wait_for(f"{two.second.address}: stream ended")
    stats = checked(handler)
    assert (stats.resent, stats.unconfirmed, stats.disconnects) == (0, 0, 0)
    assert stats.attempts[two.first.address][0] == 0
    assert sorted(map(int, filter(None, two.first.ports + two.second.ports))) == list(
        range(1, number + 2)
    )
    wait_until(lambda: not searches(), "the end of the search")


def test_none_is_never(two: Two) -> None:
    """With prefer_after=None nobody looks for the first one as long as the second one lasts."""
    two.second.start()
    handler = two.handler(prefer_after=None)
    log(handler, 1)
    wait_until(two.second.has(1), "the record at the second collector")
    two.first.start()
    for number in range(2, 30):
        log(handler, number)
        wait_until(two.second.has(number), "the record at the second collector")
    assert two.first.sessions() == 0

    handler.reopen()
    wait_until(lambda: checked(handler).address == two.first.address, "reopen to take the first")


def test_an_earlier_one_is_tried_before_the_first_of_all(tmp_path: Path) -> None:
    """From the third of three a search takes the second, if the first is not back."""
    collectors = [Collector(f"unix://{tmp_path}/{number}.sock") for number in range(3)]
    collectors[2].start()
    handler = DnstapHandler([each.address for each in collectors], prefer_after=SOON, **FAST)
    try:
        log(handler, 1)
        wait_until(collectors[2].has(1), "the record at the third")
        collectors[1].start()
        wait_until(lambda: checked(handler).address == collectors[1].address, "the second")
        collectors[0].start()
        wait_until(lambda: checked(handler).address == collectors[0].address, "the first")
        log(handler, 2)
        wait_until(collectors[0].has(2), "the record at the first")
        assert checked(handler).disconnects == 0
    finally:
        handler.close()
        for each in collectors:
            each.stop()
    assert checked(handler).confirmed == 2


def test_attempts_count_for_each_address(two: Two, said: Said) -> None:
    """The handler gives up when all are exhausted, and reopen() revives all of them."""
    handler = two.handler(max_reconnect_attempts=2)
    log(handler, 1)
    said.wait_for("gave up after max_reconnect_attempts=2")
    assert [failures for failures, _ in checked(handler).attempts.values()] == [3, 3]
    log(handler, 2)
    stats = checked(handler)
    assert (stats.dropped["disconnected"], stats.dropped["no_sink"]) == (1, 1)

    two.second.start()
    handler.reopen()
    wait_until(lambda: checked(handler).connected, "the session after reopen")
    log(handler, 3)
    wait_until(two.second.has(3), "the record after reopen")


def test_without_further_attempts_each_is_tried_once(two: Two, said: Said) -> None:
    """max_reconnect_attempts=0: the second one is still tried before giving up."""
    two.second.start()
    handler = two.handler(max_reconnect_attempts=0)
    log(handler, 1)
    wait_until(two.second.has(1), "the record at the second collector")
    two.second.stop()
    said.wait_for("gave up after max_reconnect_attempts=0")


def test_sessions_without_a_handshake_go_on_and_return(tmp_path: Path) -> None:
    """With bidirectional=False connecting counts as shaking hands."""
    collectors = [Collector(f"tcp://127.0.0.1:{free_port()}") for _ in range(2)]
    collectors[1].start()
    addresses = [each.address for each in collectors]
    handler = DnstapHandler(addresses, bidirectional=False, prefer_after=SOON, **FAST)
    try:
        log(handler, 1)
        wait_until(collectors[1].has(1), "the record at the second")
        collectors[0].start()
        wait_until(lambda: checked(handler).address == addresses[0], "the return")
        log(handler, 2)
        wait_until(collectors[0].has(2), "the record at the first")
    finally:
        handler.close()
        for each in collectors:
            each.stop()


class Silent:
    """A listener that takes connections and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        self.listener.close()


def test_a_silent_first_one_costs_its_timeout(two: Two) -> None:
    """A collector that accepts and does not answer has failed after `timeout`."""
    two.second.start()
    with Silent() as silent:
        handler = DnstapHandler([silent.address, two.second.address], timeout=0.3, **FAST)
        two.handlers.append(handler)
        log(handler, 1)
        wait_until(two.second.has(1), "the record at the second collector")
        failures, error = checked(handler).attempts[silent.address]
        assert (failures, error) == (1, "no ACCEPT from the peer in 0.3 s")


def test_close_does_not_wait_for_a_search(two: Two) -> None:
    """It ends in order during a search that hangs, whose socket is closed."""
    two.second.start()
    with Silent() as silent:
        handler = DnstapHandler(
            [silent.address, two.second.address], timeout=0.3, prefer_after=SOON, **FAST
        )
        log(handler, 1)
        wait_until(two.second.has(1), "the record at the second collector")
        silent.listener.accept()[0].close()  # of the attempt at the beginning
        peer = silent.listener.accept()[0]
        with peer:
            peer.settimeout(20)
            started = time.monotonic()
            handler.close()
            assert time.monotonic() - started < 5.0
            while peer.recv(4096):
                pass
        wait_until(lambda: not searches(), "the end of the search")
        stats = checked(handler)
        assert (stats.written, stats.confirmed) == (1, 1)


def test_records_go_on_while_a_search_hangs(two: Two) -> None:
    """A first collector that accepts and is silent delays nothing."""
    two.second.start()
    with Silent() as silent:
        handler = DnstapHandler(
            [silent.address, two.second.address], timeout=0.2, prefer_after=SOON, **FAST
        )
        two.handlers.append(handler)
        for number in range(40):
            log(handler, number + 1)
            wait_until(two.second.has(number + 1), "the record at the second collector")
        wait_until(
            lambda: checked(handler).attempts[silent.address][0] >= 3, "searches in that time"
        )
        assert checked(handler).connects == 1


class Raising(ssl.SSLContext):
    """A context whose code is the user's, and raises."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        raise LookupError("my own mistake")


class Broken(ssl.SSLContext):
    """A context that raises before there is a connection."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        raise LookupError("my own mistake")


def test_a_context_that_raises_is_a_failure(two: Two) -> None:
    """Whatever a user's ssl_context raises, in the writer thread or in a search."""
    two.second.start()
    with Silent() as silent:
        address = silent.address.replace("tcp", "tls")
        handler = DnstapHandler(
            [address, two.second.address],
            ssl_context=Raising(ssl.PROTOCOL_TLS_CLIENT),
            prefer_after=SOON,
            **FAST,
        )
        two.handlers.append(handler)
        log(handler, 1)
        wait_until(two.second.has(1), "the record at the second collector")
        wait_until(lambda: checked(handler).attempts[address][0] >= 3, "searches")
        error = checked(handler).attempts[address][1]
        assert error is not None
        assert "my own mistake" in error
        log(handler, 2)
        wait_until(two.second.has(2), "a record after that")


def test_contexts_that_raise_are_given_up(said: Said) -> None:
    """What a user's ssl_context raises is a failed attempt, which counts as any other."""
    handler = DnstapHandler(
        ["tls://127.0.0.1:1", "tls://127.0.0.1:2"],
        ssl_context=Broken(ssl.PROTOCOL_TLS_CLIENT),
        max_reconnect_attempts=2,
        **FAST,
    )
    log(handler, 1)
    said.wait_for("gave up after max_reconnect_attempts=2")
    error = "internal error: LookupError: my own mistake"
    assert list(checked(handler).attempts.values()) == [(3, error), (3, error)]
    handler.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_over(two: Two) -> None:
    """A child has the books and the addresses for itself, also where a search was under way."""
    two.second.start()
    with Silent() as silent:
        handler = DnstapHandler(
            [silent.address, two.first.address, two.second.address],
            timeout=0.3,
            prefer_after=SOON,
            **FAST,
        )
        two.handlers.append(handler)
        log(handler, 1)
        wait_until(two.second.has(1), "the record at the second collector")
        wait_until(searches, "a search")
        pid = os.fork()
        if not pid:
            ended = 1
            try:
                stats = handler.stats()
                fresh = all(each == (0, None) for each in stats.attempts.values())
                log(handler, 2)
                handler.close()
                stats = handler.stats()
                ended = 0 if fresh and stats.written == 1 and not searches() else 2
            finally:
                os._exit(ended)
        assert os.waitpid(pid, 0)[1] == 0
        wait_until(two.second.has(2), "the child's record")
        log(handler, 3)
        wait_until(two.second.has(3), "the parent's next record")
        assert checked(handler).logged == 2


def test_where_no_thread_can_be_started_there_is_no_search(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at interpreter shutdown: the session with the later address goes on."""
    two.second.start()
    handler = two.handler(prefer_after=SOON)
    log(handler, 1)
    wait_until(two.second.has(1), "the record at the second collector")
    refused: List[str] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "dnstap-search":
            refused.append(thread.name)
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    two.first.start()
    wait_until(lambda: len(refused) > 2, "searches that cannot be started")
    log(handler, 2)
    wait_until(two.second.has(2), "a record in spite of that")
    monkeypatch.undo()
    wait_until(lambda: checked(handler).address == two.first.address, "the return")


def test_nothing_starts_before_the_first_record(two: Two) -> None:
    """A handler without records has neither a thread nor a connection."""
    two.first.start()
    before = threading.active_count()
    handler = two.handler(prefer_after=SOON)
    assert threading.active_count() == before
    handler.close()
    assert two.first.sessions() == 0


def test_one_address_does_not_import_failover() -> None:
    """Who has one collector pays nothing for several."""
    code = (
        "import sys, dnstap_logging\n"
        "dnstap_logging.DnstapHandler('unix:///x').close()\n"
        "assert 'dnstap_logging.delivery.failover' not in sys.modules\n"
        "dnstap_logging.DnstapHandler(['unix:///x', 'unix:///y']).close()\n"
        "assert 'dnstap_logging.delivery.failover' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_lines_of_each_address_have_their_own_interval(two: Two, said: Said) -> None:
    """The first one's line does not hold back that of the second."""
    handler = two.handler(report_interval=60, close_timeout=0)
    log(handler, 1)
    for collector in (two.first, two.second):
        said.wait_for(f"{collector.address}: no such socket")
    assert all(record.levelno == logging.WARNING for record in said.records)
