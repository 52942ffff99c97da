"""Text that emitters put into messages comes out of JSON and YAML as it was."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapMessage
from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.dnswire.names import name_from_text
from dnstap_logging.text.json import format_json
from dnstap_logging.text.yaml import format_yaml

TEXTS = [
    '{"a": "x \\"y\\""}',
    "C:\\new\\table",
    "a\\\\b",
    "tab\tline\nreturn\rbell\aescape\x1b[31mnul\0del\x7f",
    "next line\x85no-break space\xa0line\u2028paragraph\u2029mark\ufeff",
    "\N{SNOWMAN} \N{GRINNING FACE} \u0301",
    "'single' \"double\" # no comment: [a, {b}] & *c | > % @ `",
    " leading and trailing ",
    "---",
    "\\xff \\u2028 \\ud800",
]
"""What serializers are known to get wrong; the first is how an `extra` in JSON looks."""

ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


def sent(**fields: Any) -> DnstapMessage:
    """Return a message as it comes off the wire."""
    message = DnstapMessage("CLIENT_QUERY", **fields)
    return decode(Encoder(b"", b"").encode(message, []))


def from_json(message: DnstapMessage) -> Dict[str, Any]:
    """Return what a program reads that is given the full JSON."""
    text = format_json(message, bytes.hex, full=True)
    assert text.isascii(), "safe for any encoding"
    assert text.isprintable(), "safe for any terminal"
    found: Dict[str, Any] = json.loads(text)
    return found


def from_yaml(message: DnstapMessage) -> Dict[str, Any]:
    """Return what a program reads that is given the YAML."""
    text = format_yaml(message, bytes.hex)
    assert text.replace("\n", "").isprintable(), "safe for any terminal"
    (found,) = [each for each in yaml.safe_load_all(text) if each is not None]
    return dict(found)


@pytest.mark.parametrize("field", ["extra", "identity", "version"])
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_comes_out_of_json_as_it_was(text: str, field: str) -> None:
    """Escaped once, by JSON itself."""
    assert from_json(sent(**{field: text}))[field] == text


@pytest.mark.parametrize("field", ["type", "rule", "value"])
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_of_a_policy_comes_out_of_json_as_it_was(text: str, field: str) -> None:
    """Also where some programs write text, in place of a name in wire format."""
    message = sent(policy={"match": "QNAME"})
    assert message.policy is not None
    octets = text if field == "type" else text.encode()
    policy = message.policy._replace(**{field: octets})

    message = message._replace(policy=policy)

    assert from_json(message)["message"]["policy"][field] == text
    assert from_yaml(message)["message"]["policy"][field] == text


@pytest.mark.parametrize("field", ["extra", "identity", "version"])
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_comes_out_of_yaml_as_it_was(text: str, field: str) -> None:
    """Escaped as YAML has it, once."""
    assert from_yaml(sent(**{field: text}))[field] == text


@given(ANY_TEXT)
def test_any_text_comes_out_as_it_was(text: str) -> None:
    """Of all texts, in both formats."""
    message = sent(extra=text, identity=text, version=text)
    json_fields, yaml_fields = from_json(message), from_yaml(message)

    assert [json_fields[name] for name in ("extra", "identity", "version")] == [text] * 3
    assert [yaml_fields[name] for name in ("identity", "version")] == [text] * 2


@given(st.binary(min_size=1))
def test_octets_that_are_not_text_are_safe_in_json(octets: bytes) -> None:
    """Each octet that is not UTF-8 is U+FFFD, the others stay: as `dnstap -j` has it."""
    shown = from_json(sent(extra=octets, identity=octets))

    expected = "".join(
        "\ufffd" if "\udc80" <= char <= "\udcff" else char
        for char in octets.decode("utf-8", "surrogateescape")
    )
    assert shown["extra"] == shown["identity"] == expected


@given(st.binary(min_size=1))
def test_octets_that_are_not_text_are_characters_in_yaml(octets: bytes) -> None:
    r"""YAML reads ``\xff`` as the character of that number, as in what `dnstap -y` prints."""
    shown = from_yaml(sent(identity=octets))["identity"]

    text = octets.decode("utf-8", "surrogateescape")
    assert shown == "".join(
        chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char for char in text
    )


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb"], ids=ascii)
def test_lone_surrogates_are_never_in_what_is_read(text: str) -> None:
    """They have no UTF-8: what was logged is their escape, and that comes out as it was."""
    shown = from_json(sent(extra=text, identity=text))

    assert shown["extra"] == shown["identity"] == text.encode("utf-8", "backslashreplace").decode()


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5))
def test_names_come_out_as_names(labels: list[bytes]) -> None:
    """The text of a zone or a rule is that name again, whatever is in its labels."""
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    policy = {"rule": wire, "match": "QNAME", "value": wire}
    message = sent(query_zone=wire, policy=policy)
    shown = from_json(message)["message"]

    texts = [shown["query_zone"], shown["policy"]["rule"], shown["policy"]["value"]]
    texts.append(from_yaml(message)["message"]["query_zone"])
    assert [name_from_text(text) for text in texts] == [wire] * 4
