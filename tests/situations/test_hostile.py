"""No DNS message in somebody else's capture or stream takes long to read."""

from __future__ import annotations

import struct

import pytest

from dnstap_logging.cli.dns_content import dns_text
from tests.helpers.cpu_time import too_slow
from tests.helpers.hostile_messages import (
    HOSTILE,
    LONG,
    chained,
    hostile_message,
    pointed_at,
    record,
)
from tests.helpers.hostile_readers import READERS

MOST = (
    6.0  # seconds of CPU time for 64 KB; it is some 1 s, of dnspython's, where all names are long
)


# YAML has all that JSON has, and takes longest.
SLOW = pytest.param("yaml", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [SLOW if each == "yaml" else each for each in READERS])
def test_time(name: str) -> None:
    """Each way to show, choose or count takes time in proportion to the octets of the message."""
    assert too_slow(READERS[name], MOST) == []


def test_long_chains_are_refused() -> None:
    """A name behind more pointers than a name can have labels is not followed, by no version."""
    for unit in (
        lambda to: record(to, 1, bytes(4)),
        lambda to: record(b"\xc0\x0c", 2, to),
    ):
        with pytest.raises(ValueError, match="cannot be read"):
            dns_text()(chained(LONG, unit))


def test_many_names_in_one_record_are_refused() -> None:
    """A list of names, each two octets long and 255 decompressed, is not written out."""
    names = hostile_message("many names in one HIP")

    with pytest.raises(ValueError, match="cannot be read"):
        dns_text()(names)


def test_long_names_are_shown() -> None:
    """As many records as fit, each with two long names, are valid: they are shown."""
    tail = b"\1a" * 127 + b"\0"
    wire = pointed_at(LONG, tail, 0, lambda to: record(to, 2, to))
    (count,) = struct.unpack_from("!H", wire, 10)

    assert dns_text()(wire).count("a." * 127 + "\t60\tIN\tNS\t" + "a." * 127) == count - 1


def test_the_messages() -> None:
    """They are as long as they say, so that times can be compared."""
    for name in HOSTILE:
        hostile_message(name)
