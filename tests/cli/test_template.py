"""``--format``: templates of one's own."""

from __future__ import annotations

import pytest

from dnstap_logging.cli.template import VALUES, Template
from dnstap_logging.message.fields import FIELDS as EXTRAS
from tests.cli.samples import dns_wire, query, response


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{query_time} {qname} {qtype}", "2026-01-01T12:00:00Z www.example.org. A"),
        ("{dns_query_address}#{dns_query_port}", "192.0.2.1#5353"),
        ("{mnemonic} {message_type} {socket_protocol}", "CQ CLIENT_QUERY UDP"),
        ("[{qname:>18}] [{qclass:<4}]", "[  www.example.org.] [IN  ]"),
        ("{{}} {size}b id={id}", "{} 33b id=1"),
        ("{rcode} {response_time} {query_zone} {extra}", "- - - -"),
        ("nothing", "nothing"),
        ("{query_message}", dns_wire().hex()),
    ],
)
def test_fields(template: str, line: str) -> None:
    """Fields are text, laid out as str.format does; what a message does not have is ``-``."""
    assert Template(template).format(query()) == line


def test_response_code() -> None:
    """A response has its code, by name or, where it has none, by number."""
    assert Template("{rcode}").format(response(rcode=3)) == "NXDOMAIN"
    assert Template("{rcode}").format(response(rcode=13)) == "RCODE13"


def test_every_extra_is_a_field() -> None:
    """Whatever can be logged can be printed, under the same name, with ``dns_`` or without."""
    assert set(EXTRAS) <= set(VALUES)
    for name in EXTRAS:
        assert Template(f"{{dns_{name}}}").format(query()) == Template(f"{{{name}}}").format(
            query()
        )


def test_hostile_values() -> None:
    """What came from the network stays text: no control characters, and no template."""
    message = query(
        identity="{extra}\x1b[2J\n",
        extra=b"\xff\x00",
        policy={"type": "\x1b]0;x\x07", "rule": "a.b"},
        query_message=dns_wire(b"\4\x1b{}\n\0"),
    )
    line = Template("{identity} {extra} {policy} {qname}").format(message)

    assert line.isprintable()
    assert line.startswith("{extra}\\x1b[2J\\n \\xff\\x00 {")
    assert line.endswith("\\027{}\\010.")
