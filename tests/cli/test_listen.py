"""`dnstap-logging listen`: real emitters, several senders at once, and its orderly ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import List

import pytest
import trustme

from dnstap_logging import DnstapHandler
from tests.cli.emitters import QUESTIONS, Dnsdist, Knot
from tests.cli.programs import DEADLINE, Listener, run
from tests.cli.samples import numbered, relay
from tests.helpers.support import assert_balanced, dnstap_payload, require_program, wait_until
from tests.situations.interop.captures import assert_same, read_capture

QUERIES_SENT = re.compile(r"Queries sent: +(\d+)\n +Queries completed: +(\d+)")
ROUNDS = 20
"""What knotd says of all questions so often fits in its queue of 512, which drops silently."""


def test_streams_of_knotd_and_dnsdist_lose_nothing(tmp_path: Path) -> None:
    """What dnsperf and the tests asked is in the capture, each query and each response once.

    knotd and dnsdist send to one `listen`, which writes one capture; `read` prints it.
    """
    queries = tmp_path / "queries"
    queries.write_text("".join(f"{name} {kind}\n" for name, kind in QUESTIONS))
    load = ("-s", "127.0.0.1", "-d", str(queries), "-n", str(ROUNDS), "-q", "5", "-t", "30")
    sock = tmp_path / "dnstap.sock"
    with Listener(tmp_path, f"unix://{sock}", "--write", "all.fstrm") as listener:
        with (
            Knot(tmp_path, f"unix:{sock}") as knot,
            Dnsdist(tmp_path, str(sock), knot.port) as front,
        ):
            perf = subprocess.run(
                [require_program("dnsperf"), "-p", str(knot.port), *load],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=True,
            )
            asked = front.ask() + front.ask(tcp=True)
            match = QUERIES_SENT.search(perf.stdout)
            assert match, perf.stdout
            sent, completed = map(int, match.groups())
            assert (sent, completed) == (ROUNDS * len(QUESTIONS),) * 2, perf.stdout
            wait_until(lambda: _messages(tmp_path / "all.fstrm") == 2 * (sent + 2 * asked), "all")
            knot.stop()
        assert listener.end() == 0, listener.said
    done = run(tmp_path, "read", "--json", "all.fstrm")

    shown = Counter(json.loads(line)["message"]["type"] for line in done.stdout.splitlines())
    assert shown == {
        "AUTH_QUERY": sent + asked,
        "AUTH_RESPONSE": completed + asked,
        "CLIENT_QUERY": asked,
        "CLIENT_RESPONSE": asked,
    }
    assert read_capture(tmp_path / "all.fstrm").complete


def _messages(path: Path) -> int:
    return len(read_capture(path).payloads)


def test_several_senders_over_unix_tcp_and_tls(tmp_path: Path) -> None:
    """Six senders at once, two to each kind of address: every message, in each sender's order."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "server.pem"
    )
    addresses = [f"unix://{tmp_path}/d.sock", "tcp://127.0.0.1:0", "tls://127.0.0.1:0"]
    arguments = ("--certfile", "server.pem", "--write", "all.fstrm")
    streams = [numbered(sender, 1500) for sender in range(6)]
    handlers: List[DnstapHandler] = []

    def send(number: int, address: str) -> None:
        tls = {"cafile": str(tmp_path / "ca.pem")} if address.startswith("tls:") else {}
        handlers.append(relay(address, streams[number], **tls))

    with Listener(tmp_path, *addresses, *arguments) as listener:
        assert not any(address.endswith(":0") for address in listener.addresses)
        threads = [
            threading.Thread(target=send, args=(number, listener.addresses[number % 3]))
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        # FINISH says that it is in the file, so it is there before the end.
        assert _messages(tmp_path / "all.fstrm") == 6 * 1500
        assert listener.end(signal.SIGINT) == 0, listener.said

    assert [handler.stats().confirmed for handler in handlers] == [1500] * 6
    found = read_capture(tmp_path / "all.fstrm")
    assert found.complete
    for stream in streams:
        members = set(stream)
        assert_same([each for each in found.payloads if each in members], stream, "payloads")
    assert len(found.payloads) == 6 * 1500


def test_lines_of_several_senders_do_not_mix(tmp_path: Path) -> None:
    """Printed as `read --json` does: each line is a whole message, and none is missing."""
    form = "--format", "{extra} end"
    with Listener(tmp_path, f"unix://{tmp_path}/d.sock", *form) as listener:
        threads = [
            threading.Thread(target=relay, args=(listener.addresses[0], numbered(sender, 500)))
            for sender in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert listener.end() == 0, listener.said

    expected = [f"{sender * 1_000_000 + n} end" for sender in range(4) for n in range(500)]
    assert sorted(listener.printed.splitlines()) == sorted(expected)


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_sigterm_during_traffic(tmp_path: Path, scheme: str) -> None:
    """What the handler's books call written is in the capture, but for what they call unconfirmed.

    And with the next `listen` on the same file the rest arrives: in all, nothing is missing.
    """
    address = f"unix://{tmp_path}/d.sock" if scheme == "unix" else "tcp://127.0.0.1:0"
    path = tmp_path / "all.fstrm"
    handler_made = threading.Event()
    handlers: List[DnstapHandler] = []
    go_on = threading.Event()
    go_on.set()

    def traffic() -> None:
        handler = DnstapHandler(address, overflow="block", queue_size=100, close_timeout=DEADLINE)
        handlers.append(handler)
        handler_made.set()
        number = 0
        while go_on.is_set() or number < 2000:
            handler.emit_payload(dnstap_payload(number))
            number += 1

    thread = threading.Thread(target=traffic)
    with Listener(tmp_path, address, "--write", path) as listener:
        address = listener.addresses[0]
        thread.start()
        assert handler_made.wait(DEADLINE)
        wait_until(lambda: _messages(path) > 1000, "traffic", DEADLINE)
        assert listener.end() == 0, listener.said
    wait_until(lambda: handlers[0].stats().disconnects == 1, "the handler to notice", DEADLINE)
    books, first = handlers[0].stats(), read_capture(path)
    with Listener(tmp_path, address, "--write", path) as listener:
        go_on.clear()
        thread.join(DEADLINE)
        handlers[0].close()
        assert listener.end() == 0, listener.said

    assert first.complete
    assert_balanced(books)
    stats = handlers[0].stats()
    assert books.written - stats.unconfirmed - stats.resent <= len(first.payloads) <= books.written
    assert_same(first.payloads, [*map(dnstap_payload, range(len(first.payloads)))], "payloads")
    assert sum(stats.dropped.values()) == 0, stats
    found = read_capture(path)
    missing = {dnstap_payload(number) for number in range(stats.logged)} - set(found.payloads)
    assert found.complete
    assert len(missing) <= stats.unconfirmed
    assert len(found.payloads) <= stats.written + stats.resent
