"""The how-tos about what is sent and what is counted: privacy, sampling, metrics; and threads."""

from __future__ import annotations

import logging
import re
import threading
import urllib.request
from pathlib import Path
from typing import Dict, List

import dnstap_logging
from dnstap_logging import DnstapMessage, DnstapReader, Stats, filters
from tests.helpers.pages import DOCS, code_in, example, names, rows_of, run, start
from tests.helpers.support import free_port, wait_until
from tests.integrations.servers import question

LOG = """
def log(name, client, **extras):
    message = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + name + b"\\0\\1\\0\\1"
    for kind in ("QUERY", "RESPONSE"):
        logger.info(kind, extra={
            "dns_message_type": "CLIENT_" + kind,
            "dns_" + kind.lower() + "_message": message,
            "dns_query_address": client,
            **extras,
        })
"""
WWW = r'b"\3www\7example\3org\0"'
CLINIC = r'b"\3www\6clinic\7example\0"'
PRIVACY = [example("howto/privacy.md", "python", number) for number in range(3)]
SAMPLING = example("howto/sampling.md", "python")
METRICS, METRICS_LINE = (
    example("howto/metrics.md", "python", 0),
    example("howto/metrics.md", "python", 1),
)
THREADS = example("threads.md", "python")


def captured(folder: Path) -> List[DnstapMessage]:
    """Return the messages of the program's capture, which must be whole."""
    with DnstapReader(folder / "dns.fstrm") as reader:
        messages = list(reader)
        assert reader.complete
    return messages


def test_privacy(tmp_path: Path) -> None:
    """Addresses are cut, then made pseudonyms; then records with private names are left out."""
    cut, pseudonyms, names_left_out = PRIVACY
    log_www, log_clinic = f"\nlog({WWW}, '192.0.2.77')\n", f"\nlog({CLINIC}, '192.0.2.77')\n"

    run(
        tmp_path, cut + LOG + log_www + pseudonyms + log_www + names_left_out + log_clinic + log_www
    )

    messages = captured(tmp_path)
    assert len(messages) == 6, "the clinic's two are not there"
    assert {str(message.query_ip) for message in messages[:2]} == {"192.0.2.0"}
    (pseudonym,) = {str(message.query_ip) for message in messages[2:]}
    assert pseudonym not in ("192.0.2.77", "192.0.2.0")


def test_sampling(tmp_path: Path) -> None:
    """Of a hundred transactions some are kept, each with both of its messages and the rate."""
    load = f"\nfor number in range(100):\n    log({WWW}, f'192.0.2.{{number}}')\n"

    run(tmp_path, SAMPLING + LOG + load)

    messages = captured(tmp_path)
    assert 0 < len(messages) < 100
    assert {message.extra for message in messages} == {b"sample_rate=10"}
    clients = [message.query_address for message in messages]
    assert clients[::2] == clients[1::2]
    assert len(set(clients)) * 2 == len(messages)


TWO_WRITTEN = re.compile(
    r'^dnstap_records_written_total\{.*handler="capture".*\} 2\.0$', re.MULTILINE
)


def test_metrics(tmp_path: Path) -> None:
    """The handler's metrics are there by HTTP, and the line says the same of the books."""
    port = str(free_port())
    code = METRICS.replace("9153", port) + LOG + f"\nlog({WWW}, '192.0.2.77')\nhandler.flush()\n"

    def scraped() -> str:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
                text = response.read().decode()
        except OSError:
            return ""
        return str(text) if TWO_WRITTEN.search(text) else ""

    with start(tmp_path, code + METRICS_LINE + "\ninput()\n") as process:
        try:
            wait_until(scraped, "the metrics of both messages", 60)
            output, said = process.communicate("\n", timeout=60)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, "")
    assert output.endswith("/dns.fstrm: 2 of 2 written, lost {}, None\n")


def test_alerts_name_metrics_that_there_are() -> None:
    """Every metric in the rules and in the page about fleets is documented, with its labels."""
    integrations = (DOCS / "integrations.md").read_text(encoding="utf-8")
    there = set(re.findall(r"`(dnstap_\w+)`", integrations))
    (rules,) = code_in(DOCS / "howto" / "metrics.md", "yaml")
    fleet = (DOCS / "fleet.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\bdnstap_\w+\b", rules + fleet))

    assert len(used) >= 5
    assert used <= there


def test_counters_to_watch_are_counters() -> None:
    """Whatever the page about fleets says to watch at a handler is in its statistics."""
    fleet = (DOCS / "fleet.md").read_text(encoding="utf-8")
    watched = [name for row in rows_of(fleet, "where")[:6] for name in names(row[1])]

    assert len(watched) >= 7
    assert set(watched) <= set(Stats._fields)


def test_the_receiver_of_the_page_on_threads(tmp_path: Path) -> None:
    """Its main thread gets what the connection's thread was given."""
    with start(tmp_path, THREADS) as process:
        try:
            wait_until((tmp_path / "dnstap.sock").exists, "the socket", 60)
            sender = f"""
import logging
from dnstap_logging import DnstapHandler
logger = logging.getLogger("dns")
logger.setLevel("INFO")
logger.addHandler(DnstapHandler("unix://{tmp_path}/dnstap.sock"))
"""
            folder = tmp_path / "sender"
            folder.mkdir()
            run(folder, sender + LOG + f"\nlog({WWW}, '192.0.2.77')\n")
            output, said = process.communicate(timeout=60)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, "")
    assert output == "CLIENT_QUERY\nCLIENT_RESPONSE\n"


def test_the_page_on_threads_has_every_type() -> None:
    """Each class that the package exports, and each filter and integration, has a row."""
    listed: Dict[str, List[str]] = {
        name: row
        for row in rows_of((DOCS / "threads.md").read_text(encoding="utf-8"), "type")
        for name in names(row[0])
    }
    api = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\.\. autoclass:: [\w.]+\.(\w+)$", api, re.MULTILINE)

    assert {"DnstapHandler", "DnstapMixin", "Stats"} <= set(documented)
    assert set(documented) == set(listed)
    assert all(all(row) for row in listed.values())


THREAD_COUNT = 8


def test_all_types_of_the_way_in_many_threads(tmp_path: Path) -> None:
    """One adapter, all filters, one handler and one receiver serve eight threads at once."""
    received: List[DnstapMessage] = []
    with dnstap_logging.DnstapReceiver(f"unix://{tmp_path}/many.sock", received.append):
        handler = dnstap_logging.DnstapHandler(f"unix://{tmp_path}/many.sock")
        handler.addFilter(filters.MessageTypeFilter("CLIENT_*"))
        handler.addFilter(filters.QnameFilter(include=["example.org"]))
        handler.addFilter(filters.SamplingFilter(1, state_rate=False))
        handler.addFilter(filters.AnonymizingFilter(key=bytes(range(32))))
        log_in_threads(handler, THREAD_COUNT)
    check_threads(received, THREAD_COUNT)


def log_in_threads(handler: dnstap_logging.DnstapHandler, threads: int) -> None:
    """Log from several threads by one adapter, while others look at the books; close."""
    logger = logging.Logger("threads", logging.INFO)
    logger.addHandler(handler)
    tap = dnstap_logging.DnstapAdapter(logger, {"dns_socket_protocol": "UDP"})
    wire = question("www.example.org")

    def work(thread: int) -> None:
        for number in range(200):
            tap.client_query(
                wire, query_address=f"192.0.2.{thread}", dns_extra=f"{thread} {number}"
            )
            stats = handler.stats()
            assert stats.logged >= stats.written + stats.queued

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert handler.flush()
    handler.close()
    assert handler.stats().written == threads * 200


def check_threads(received: List[DnstapMessage], threads: int) -> None:
    """Check that each thread's messages are there, in its order, under one pseudonym of its own."""
    by_thread: Dict[int, List[int]] = {}
    pseudonyms: Dict[int, set[object]] = {}
    for message in received:
        thread, number = map(int, (message.extra or b"").split())
        by_thread.setdefault(thread, []).append(number)
        pseudonyms.setdefault(thread, set()).add(message.query_address)

    assert by_thread == {thread: list(range(200)) for thread in range(threads)}
    assert all(len(each) == 1 for each in pseudonyms.values())
    assert len(set.union(*pseudonyms.values())) == threads
