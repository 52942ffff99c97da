"""Names of enumerators: the manual's are taken, and no two members share one."""

from __future__ import annotations

import ast
import re
import socket
from typing import Dict, Iterator, List, Tuple

import pytest

from dnstap_logging.message import spellings
from dnstap_logging.message.enums import (
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)
from dnstap_logging.message.fields import FIELDS
from dnstap_logging.message.policy import Policy
from dnstap_logging.text import mnemonic
from tests.helpers.pages import DOCS, names, rows_of

PAGE = (DOCS / "reference" / "extras.md").read_text(encoding="utf-8")
KINDS = [MessageType, SocketFamily, SocketProtocol, HttpProtocol, PolicyAction, PolicyMatch]


def documented() -> Iterator[Tuple[str, str, object]]:
    """Yield the extra, the value and another name of it, by the table in the manual."""
    extra = ""
    for first, value, others in rows_of(PAGE, "key"):
        extra = names(first)[0] if first else extra
        for name in names(others):
            if name == "bytes":
                continue
            if name.startswith("socket."):
                yield extra, names(value)[0], getattr(socket, name[len("socket.") :])
            elif name == "CQ":
                yield extra, names(value)[0], name
            else:
                yield extra, names(value)[0], ast.literal_eval(name)


@pytest.mark.parametrize(("extra", "value", "other"), list(documented()))
def test_the_names_in_the_manual(extra: str, value: str, other: object) -> None:
    """Each alternative name in the manual means the value in its row, in any case."""
    convert = FIELDS[extra[len("dns_") :]].convert

    assert convert(other) is convert(value)
    if isinstance(other, str):
        assert convert(other.lower()) is convert(other.upper()) is convert(value)


def test_all_names_are_in_the_manual() -> None:
    """The table of other names and the manual's are the same; a policy's are in its text."""
    in_table = {spellings._plain(str(name)) for _, _, name in documented() if type(name) is str}
    for kind in (SocketFamily, SocketProtocol, HttpProtocol):
        for others in spellings._OTHER_NAMES[kind].values():
            for name in others:
                assert spellings._plain(name) in in_table, name
    text = PAGE.split("In a policy, ")[1].split("## ")[0]
    for value, policy_name in re.findall(r'`"(\S+)"`\s+is\s+`(\w+)`', text):
        assert policy_name in (
            getattr(_policy("action", value), "name", None),
            getattr(_policy("match", value), "name", None),
        )


def _policy(argument: str, value: str) -> object:
    try:
        return getattr(Policy(**{argument: value}), argument)  # type: ignore[arg-type]
    except ValueError:
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_has_two_meanings(kind: type) -> None:
    """Without their marks, all names of an enumeration differ."""
    seen: Dict[str, str] = {}
    others = spellings._OTHER_NAMES.get(kind, {})
    for member in kind:  # type: ignore[attr-defined]
        for name in (member.name, *others.get(member.name, ())):
            assert seen.setdefault(spellings._plain(name), member.name) == member.name, name


def test_the_two_letters_of_each_type() -> None:
    """The mnemonics that listings show are taken for every type."""
    convert = FIELDS["message_type"].convert
    found: List[object] = [convert(mnemonic(each)) for each in MessageType]

    assert found == list(MessageType)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("CLIENT_QERY", "CLIENT_QUERY"),
        ("client qurey", "CLIENT_QUERY"),
        ("CLIENT_RESPONCE", "CLIENT_RESPONSE"),
        ("AUTHQUERRY", "AUTH_QUERY"),
        ("RESOLVE_QUERY", "RESOLVER_QUERY"),
    ],
)
def test_a_misspelt_type(value: str, meant: str) -> None:
    """The text names the type that was meant."""
    with pytest.raises(ValueError, match=f"did you mean {meant}\\?$"):
        FIELDS["message_type"].convert(value)


@pytest.mark.parametrize("value", ["", "nothing", "x" * 10**6, "\0"])
def test_nothing_like_a_type(value: str) -> None:
    """Of what is like no type nothing is suggested, and a long text costs no time."""
    with pytest.raises(ValueError, match=r"\(1 to 14\)$"):
        FIELDS["message_type"].convert(value)
