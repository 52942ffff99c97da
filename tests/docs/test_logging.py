"""docs/logging.md: its examples deliver, and its addresses are understood."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import List

import pytest
import trustme

from dnstap_logging import DnstapMessage, DnstapReceiver, MessageType, Policy, SocketProtocol
from dnstap_logging.address import parse_address
from tests.docs.collector import Collector
from tests.helpers.pages import DOCS, LOG_ONE, SOCKET, example, names, rows_of, run, sections
from tests.helpers.support import wait_until

PAGE = sections(DOCS / "logging.md")
TLS_HOST = "collector.example.net:6000"
CA_FILE = "/etc/dns/collector-ca.pem"

QUICK_START, TYPED, FILE_CONFIG, IN_CODE, POLICY, TLS = (
    example("logging.md", "python", number) for number in range(6)
)
FILE_CONFIG_INI = example("logging.md", "ini")


def test_quick_start_delivers(tmp_path: Path, collector: Collector) -> None:
    """The quick start, as printed, sends a query and its response to the collector."""
    run(tmp_path, QUICK_START)

    query, response = collector.messages
    assert query.message_type is MessageType.CLIENT_QUERY
    assert response.message_type is MessageType.CLIENT_RESPONSE
    assert query.query_message is not None
    assert response.response_message is not None
    assert response.response_message[4:] == query.query_message[4:]
    for message in collector.messages:
        assert message.identity == b"ns1.example.net"
        assert message.socket_protocol is SocketProtocol.UDP
        assert (str(message.query_ip), message.query_port) == ("192.0.2.1", 5353)
        assert (str(message.response_ip), message.response_port) == ("192.0.2.53", 53)
    wait_until(lambda: collector.receiver.stats().finished == 1, "the receiver to count the end")


def test_the_adapter_delivers_the_same(tmp_path: Path, collector: Collector) -> None:
    """What the adapter sends equals what the plain extras send, but for the times."""
    run(tmp_path, QUICK_START + TYPED)

    assert len(collector.messages) == 4
    plain, typed = collector.messages[:2], collector.messages[2:]
    timeless = {"query_time": None, "response_time": None}
    assert [message._replace(**timeless) for message in typed] == [
        message._replace(**timeless) for message in plain
    ]
    assert typed[0].query_time == typed[1].query_time


FORGETTABLE = PAGE["Three settings that are easily forgotten"]


def without(setting: str) -> str:
    """Return the quick start without one of the three settings, which the page names."""
    assert f"- `{setting}`. Without it" in FORGETTABLE
    assert setting in QUICK_START
    return re.sub(rf"(, {setting}|\n {{4}}{setting},|{setting}, )", "", QUICK_START, count=1)


def test_without_a_level_nothing_is_logged(tmp_path: Path, collector: Collector) -> None:
    """The root logger's level ignores every query; the handler has counted none, and says so."""
    look = """
import sys
import dnstap_logging
sys.stderr = sys.stdout
handler = dnstap_logging.get_handler("dnstap")
print(handler.stats().logged)
logging.shutdown()
"""

    counted, said = run(tmp_path, without('"level": "INFO"') + look).splitlines()

    assert counted == "0"
    assert ": nothing was logged: " in said
    assert collector.messages == []


def test_with_propagation_the_root_logger_gets_queries(
    tmp_path: Path, collector: Collector
) -> None:
    """The root logger's handlers, here of a file, get every query, and only without the setting."""
    root = "import logging\nlogging.basicConfig(level='INFO', filename='{}')\n".format

    run(tmp_path, root("with") + QUICK_START)
    run(tmp_path, root("without") + without('"propagate": False'))

    assert "INFO:dns:" not in (tmp_path / "with").read_text()
    assert "INFO:dns:query\nINFO:dns:response\n" in (tmp_path / "without").read_text()
    assert len(collector.messages) == 4


def test_a_second_configuration_disables_the_diagnostics(
    tmp_path: Path, collector: Collector
) -> None:
    """The library's own logger is disabled by it, and only without the setting."""
    show = "\nprint(logging.getLogger('dnstap_logging').disabled)\n"
    forgotten = without('"disable_existing_loggers": False')

    first = QUICK_START + "\nlogging.getLogger('dnstap_logging').info('used')\n"

    assert run(tmp_path, first + QUICK_START + show) == "False\n"
    assert run(tmp_path, first + forgotten + show) == "True\n"


def test_file_config_delivers(tmp_path: Path, collector: Collector) -> None:
    """The same handler, from the ini file of the page."""
    ini = FILE_CONFIG_INI.replace(SOCKET, f"unix://{tmp_path}/dnstap.sock")
    (tmp_path / "logging.ini").write_text(ini, encoding="utf-8")

    run(tmp_path, FILE_CONFIG + LOG_ONE)

    (message,) = collector.messages
    assert (message.query_port, message.identity) == (4711, b"ns1.example.net")


def test_handler_made_in_code_delivers(tmp_path: Path, collector: Collector) -> None:
    """The same handler, attached by hand."""
    run(tmp_path, IN_CODE + LOG_ONE)

    (message,) = collector.messages
    assert (message.query_port, message.identity) == (4711, b"ns1.example.net")


def test_policy_and_note_arrive(tmp_path: Path, collector: Collector) -> None:
    """The third record of the continued quick start has a policy and a note."""
    run(tmp_path, QUICK_START + POLICY)

    assert len(collector.messages) == 3
    blocked = collector.messages[-1]
    assert blocked.extra == b"customer 17"
    rule = b"\x03bad\x07example\x03net\0"
    assert blocked.policy == Policy(type="RPZ", rule=rule, action="NXDOMAIN", match="QNAME")
    assert (str(blocked.query_ip), blocked.query_port) == ("2001:db8::1", 40000)
    assert blocked.socket_protocol is SocketProtocol.DOT
    assert blocked.query_time is not None


def test_tls_example_delivers(tmp_path: Path) -> None:
    """The handler for TLS reaches a collector whose certificate its own authority has signed."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    messages: List[DnstapMessage] = []

    with DnstapReceiver("tls://127.0.0.1:0", messages.append, ssl_context=context) as receiver:
        code = TLS.replace(TLS_HOST, f"localhost:{receiver.address.port}")
        code = code.replace(CA_FILE, str(tmp_path / "ca.pem"))
        run(tmp_path, code + LOG_ONE)

    assert [message.query_port for message in messages] == [4711]


def test_addresses_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of the table is one, and those said to be refused are refused with a hint."""
    monkeypatch.chdir(tmp_path)
    listed = [name for row in rows_of(PAGE["Addresses"], "address") for name in names(row[0])]
    addresses = [name for name in listed if name != "pathlib.Path"]

    schemes = {parse_address(address).scheme for address in addresses}
    assert schemes == {"unix", "tcp", "tls", "kafka", "file"}
    refused = re.search(r"looks like a socket \(`([^`]+)`, `([^`]+)`\)", PAGE["Addresses"])
    assert refused
    for text, right in zip(refused.groups(), ("tcp://", "unix://")):
        with pytest.raises(ValueError, match=right):
            parse_address(text)
