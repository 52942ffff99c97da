"""The dns keys of a record: which they are, and that records with the same ones share them."""

from __future__ import annotations

import logging
from typing import Any, List

import pytest

from dnstap_logging.message import fields
from dnstap_logging.message.fields import FIELDS, has_dns_keys, key_set
from dnstap_logging.message.message import DnstapMessage


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], False),
        (["message", "dns", "DNS_query_port", "xdns_a", "_dns_a"], False),
        (["dns_message_type"], True),
        (["message", "dns_query_port"], True),
        (["dns_unheard_of"], True),
        ([5, None, b"dns_query_port", ("dns_query_port",)], False),
    ],
)
def test_which_records_are_ours(names: List[Any], expected: bool) -> None:
    """A record is for dnstap if and only if a key begins with dns_; other keys may be anything."""
    record_dict = dict.fromkeys(names)

    assert has_dns_keys(record_dict) is expected
    assert (key_set(record_dict) is not None) is expected


def test_an_ordinary_record_is_not_ours() -> None:
    """The attributes that logging itself gives to a record are not dns extras."""
    record = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)

    assert not has_dns_keys(record.__dict__)


def test_key_sets_are_shared() -> None:
    """Records with the same keys share one KeySet, whatever the order of the extras."""
    first = key_set({"dns_query_port": 1, "dns_message_type": 5})
    second = key_set({"dns_query_port": 2, "dns_message_type": 6})

    assert first is second
    assert first is not None
    assert first.names == ("dns_message_type", "dns_query_port")
    assert (first.unknown, first.complaint) == ((), None)
    other = key_set({"dns_message_type": 5, "dns_query_port": 1})
    assert other is not None
    assert (other.names, other.fields) == (first.names, first.fields)


def test_key_sets_are_bounded() -> None:
    """A program that always invents new keys does not fill the memory, and gets right answers."""
    for number in range(3 * fields.MAX_KEY_SETS):
        keys = key_set({"dns_message_type": 5, f"request_{number}": 1, f"dns_odd_{number}": 1})
        assert keys is not None
        assert keys.unknown == (f"dns_odd_{number}",)

    assert len(fields.known_key_sets) <= fields.MAX_KEY_SETS


def test_unknown_keys() -> None:
    """Unknown keys are listed, and the complaint names the nearest known one."""
    keys = key_set({"dns_query_adress": 1, "dns_message_type": 5})

    assert keys is not None
    assert keys.names == ("dns_message_type",)
    assert keys.unknown == ("dns_query_adress",)
    text = "dns_query_adress left out: unknown key, did you mean dns_query_address?"
    assert keys.complaint == text


def test_every_field_has_a_key() -> None:
    """The table of extras and the fields of a message are the same."""
    assert {field.name for field in FIELDS.values()} == set(DnstapMessage._fields)
    assert sorted(field.key for field in FIELDS.values()) == sorted(
        f"dns_{name}" for name in DnstapMessage._fields
    )
