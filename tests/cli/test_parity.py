"""``read`` prints what the ``dnstap`` tool prints of the same capture, field by field.

The captures are those that kdig, knotd, dnsdist and our own handler made. What differs is in
docs/command-line.md, and here: the tool (0.4.0) does not know the newer socket protocols, and
prints no line for STUB messages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List

import dns.message
import dns.name
import dns.rdata
import dns.rrset
import pytest
import yaml

from dnstap_logging import DnstapMessage
from dnstap_logging.codec.encoding import Encoder
from tests.cli.running import call
from tests.helpers.support import capture
from tests.situations.interop.captures import NEWER_NAMES, assert_same, dnstap_quiet, run_tool

SOURCES = ("kdig", "knotd", "dnsdist", "own")
NAMES_OF_NUMBERS = {number: name for name, number in NEWER_NAMES.items()}
UNHANDLED = "[unhandled Message.Type]"


def read(path: Path, *options: str) -> str:
    """Return what ``read`` prints of a whole capture."""
    outcome = call("read", *options, path)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out


def tool(path: Path, option: str) -> str:
    """Return what the tool prints."""
    return run_tool("dnstap", "-r", path, option)[0]


def named(fields: Dict[str, Any]) -> Dict[str, Any]:
    """Put the names of newer socket protocols where the tool has their numbers."""
    protocol = fields["message"].get("socket_protocol")
    if protocol is not None:
        fields["message"]["socket_protocol"] = NAMES_OF_NUMBERS.get(protocol, protocol)
    return fields


@pytest.mark.parametrize("source", SOURCES)
def test_lines(source: str, real_captures: Dict[str, Path]) -> None:
    """By default each line is the one of ``dnstap -q``: time, type, address, protocol, question."""
    path = real_captures[source]
    theirs = [line.rstrip().split(" ") for line in dnstap_quiet(path)]
    ours = [line.split(" ") for line in read(path).splitlines()]

    for number, columns in enumerate(theirs):
        if columns == UNHANDLED.split(" "):
            assert ours[number][1] in ("SQ", "SR")
            columns[:] = ours[number]
        columns[3] = NAMES_OF_NUMBERS.get(columns[3], columns[3])
    assert_same(ours, theirs, f"lines of {source}")


@pytest.mark.parametrize("source", SOURCES)
def test_json(source: str, real_captures: Dict[str, Path]) -> None:
    """``--json`` has the keys of ``dnstap -j`` in its order, with its values and its DNS text."""
    path = real_captures[source]
    ours = [json.loads(line) for line in read(path, "--json").splitlines()]
    theirs = [named(json.loads(line)) for line in tool(path, "-j").splitlines()]

    assert_same(ours, theirs, f"objects of {source}")
    assert_same([keys(each) for each in ours], [keys(each) for each in theirs], "orders of keys")


def keys(fields: Dict[str, Any]) -> List[str]:
    """Return all keys of an object, in their order."""
    return [*fields, *fields["message"]]


@pytest.mark.parametrize("source", SOURCES)
def test_yaml(source: str, real_captures: Dict[str, Path]) -> None:
    """``--yaml`` has the documents of ``dnstap -y``, and more: keys, values, order, DNS text."""
    path = real_captures[source]
    # as text, every scalar: times to the nanosecond, not as a parser would round them
    ours = [without_more(each) for each in documents(read(path, "--yaml"))]
    theirs = [named(each) for each in documents(tool(path, "-y"))]

    assert_same(ours, theirs, f"documents of {source}")
    assert_same([keys(each) for each in ours], [keys(each) for each in theirs], "orders of keys")


def without_more(fields: Dict[str, Any]) -> Dict[str, Any]:
    """Return a document of ours without what the tool leaves out."""
    fields.pop("extra", None)
    for name in ("policy", "http_protocol"):
        fields["message"].pop(name, None)
    return fields


def documents(text: str) -> List[Any]:
    """Parse YAML with all scalars as text; the last document is the empty one after ``---``."""
    *whole, last = yaml.load_all(text, Loader=yaml.BaseLoader)
    assert last in ("", None)
    return whole


SAME = (
    "A 192.0.2.1",
    "AAAA 2001:db8::1",
    "MX 10 mx",
    "NS ns",
    "SOA ns host 1 2 3 4 5",
    "SRV 1 2 53 a.b.",
    "PTR a.b.",
    "CNAME a.b.",
    "DNAME a.b.",
    'TXT "a b" "c\\"d\\200"',
    'CAA 0 issue "ca.example"',
    'HINFO "a" "b"',
    'NAPTR 1 2 "u" "x" "!a!b!" .',
    'URI 1 2 "http://a/"',
    "NSEC a.b. A NS TYPE65280",
    'SVCB 1 . alpn="h2,h3" port="443" ipv4hint="192.0.2.1"',
    'HTTPS 1 . alpn="h2"',
    "TLSA 3 1 0 aabbccddeeff",
    "EUI48 00-00-5e-00-53-2a",
    "DNSKEY 256 3 8 AwEAAcVl4xoKTjd7zTZ2IwmsVPm9y5S4T6VTqvlJGe5dQkRbC6xYc7wK9rFxJ3uqnVqf",
    "RRSIG A 8 2 60 20260101000000 20250101000000 12345 a. AwEAAcVl4xoKTjd7zTZ2IwmsVPm9y5S4T6VT",
)
"""Records whose text is the same; long keys are one word in both."""

OTHERWISE = {
    "DS 12345 8 1 " + "ab" * 20: ("DS\t12345 8 1 " + "ab" * 20, "DS\t12345 8 1 " + "AB" * 20),
    "SSHFP 1 1 " + "ab" * 20: ("SSHFP\t1 1 " + "ab" * 20, "SSHFP\t1 1 " + "AB" * 20),
    "NSEC3PARAM 1 0 5 abcd": ("NSEC3PARAM\t1 0 5 abcd", "NSEC3PARAM\t1 0 5 ABCD"),
    "AAAA ::ffff:192.0.2.1": ("AAAA\t::ffff:192.0.2.1", "AAAA\t192.0.2.1"),
    "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m": (
        "LOC\t52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
        "LOC\t52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m",
    ),
    "TYPE65280 \\# 3 010203": ("IN\tTYPE65280\t\\# 3 010203", "CLASS1\tTYPE65280\t\\# 3 010203"),
}
"""Records whose text differs, with the end of ours and of the tool's: the manual lists them."""


def records_capture(path: Path, records: Iterable[str]) -> None:
    """Write a capture with one response for each record of a zone."""
    encoder = Encoder(b"", b"")
    payloads = []
    for record in records:
        kind, _, text = record.partition(" ")
        data = dns.rdata.from_text("IN", kind, text, dns.name.root, relativize=False)
        answer = dns.rrset.from_rdata("example.org.", 60, data)
        response = dns.message.Message(id=1)
        response.answer.append(answer)
        message = DnstapMessage("CLIENT_RESPONSE", response_message=response.to_wire())
        payloads.append(encoder.encode(message, []))
    path.write_bytes(capture(payloads))


def answers(lines: str) -> List[str]:
    """Return the last line of the DNS text of each message."""
    return [
        json.loads(line)["message"]["response_message"].splitlines()[-1]
        for line in lines.splitlines()
    ]


def test_text_of_records_that_is_the_same(tmp_path: Path) -> None:
    """Most types of records read the same, spaces, quotes and escapes included."""
    records_capture(tmp_path / "a", SAME)

    ours = answers(read(tmp_path / "a", "--json"))
    assert len(ours) == len(SAME)
    assert_same(ours, answers(tool(tmp_path / "a", "-j")), "records")


def test_text_of_records_that_differs(tmp_path: Path) -> None:
    """The types that dnspython presents otherwise are known: the manual lists them."""
    records_capture(tmp_path / "a", OTHERWISE)
    ours = answers(read(tmp_path / "a", "--json"))
    theirs = answers(tool(tmp_path / "a", "-j"))

    for text, shown, ends in zip(ours, theirs, OTHERWISE.values()):
        assert (text.endswith(ends[0]), shown.endswith(ends[1])) == (True, True), (text, shown)
    assert len(ours) == len(theirs) == len(OTHERWISE)


QUESTIONS = {
    b"\3a b\0\0\1\0\1": ('"a\\032b." IN A', '"a\\ b." IN A'),
    b"\2$'\0\0\1\0\1": ("\"\\$'.\" IN A", "\"$\\'.\" IN A"),
    b"\1a\0\0\1\0\xff": ('"a." ANY A', '"a." CLASS255 A'),
    b"\1a\0\0\x68\0\1": ('"a." IN TYPE104', '"a." IN NID'),
    b"\1a\0\0\1\0\1rest": ('"a." IN A', '"a." IN A'),
    b"\4a.\\\x01\0\xff\0\0\7": ('"a\\.\\\\\\001." CLASS7 TYPE65280',) * 2,
    b"\1a": ("X", "X"),
    b"": ("X", "X"),
}  # fmt: skip
"""Questions, in our line and in the tool's: where they differ, the manual says so."""


def test_questions(tmp_path: Path) -> None:
    """Unusual names, classes and types are shown as the manual says, which compares both tools."""
    header = b"\0\1\1\0\0\1\0\0\0\0\0\0"
    encoder = Encoder(b"", b"")
    messages = [DnstapMessage("CLIENT_QUERY", query_message=header + each) for each in QUESTIONS]
    path = tmp_path / "a"
    path.write_bytes(capture([encoder.encode(message, []) for message in messages]))

    pairs = zip(read(path).splitlines(), dnstap_quiet(path))
    shown = [tuple(line.partition("b ")[2].rstrip() for line in pair) for pair in pairs]

    assert shown == list(QUESTIONS.values())


def test_the_question_of_a_damaged_message(tmp_path: Path) -> None:
    """Where the tool shows an X because of a damaged record, the question is still shown."""
    wire = b"\0\1\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\1\0\3abc"
    message = DnstapMessage("CLIENT_RESPONSE", response_message=wire)
    path = tmp_path / "a"
    path.write_bytes(capture([Encoder(b"", b"").encode(message, [])]))

    assert dnstap_quiet(path)[0].endswith(f" {len(wire)}b X ")
    assert read(path).endswith(f' {len(wire)}b "a." IN A\n')
    assert "parse failed: " in read(path, "--json")
    assert "# response_message: parse failed: " in read(path, "--yaml")
    assert "# response_message: parse failed: " in tool(path, "-y")
