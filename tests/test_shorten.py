"""Whatever a user passed can be shown in one short, printable line."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.shorten import MAX_SHOWN, describe_error, shorten, type_name

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class HostileMeta(type):
    """A class without even a name."""

    @property
    def __name__(cls) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("no name")


class Hostile(metaclass=HostileMeta):
    """Everything that repr() may look at raises."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no repr")

    @property
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("no class")


class Loud:
    """A repr that would change the terminal, and an error text as well."""

    def __repr__(self) -> str:
        return "\x1b[31m\nLoud\x00" + "!" * 1000

    __str__ = __repr__


class LyingText(str):
    """A str that is not what it says."""

    def __len__(self) -> NoReturn:
        raise RuntimeError("no length")

    def __getitem__(self, key: Any) -> NoReturn:
        raise RuntimeError("no item")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1, "-1"),
        ("localhost", "'localhost'"),
        (b"\x00\x01", "b'\\x00\\x01'"),
        (("192.0.2.1", 53), "('192.0.2.1', 53)"),
        (None, "None"),
        (10**5000, "<integer of 16610 bits>"),
    ],
    ids=["int", "str", "bytes", "tuple", "None", "large int"],
)
def test_ordinary_values(value: object, expected: str) -> None:
    """A short value is shown as repr() shows it."""
    assert shorten(value) == expected


ODD_VALUES = {
    "hostile": Hostile(),
    "loud": Loud(),
    "lying": LyingText("x"),
    "long text": "x" * 10**6,
    "long bytes": bytes(10**6),
    "long list": list(range(10**6)),
    "deep dict": {"a": {"b": {"c": {"d": "e"}}}},
    "deep list": [[[[[[]]]]]],
    "large integer": (10**5000,),
    "hostile key": {Hostile: Loud()},
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_any_value_is_one_short_line(name: str) -> None:
    """Hostile, huge and deep values are cut, never raise, and bring no control character."""
    value = ODD_VALUES[name]
    text = shorten(value)

    assert 0 < len(text) <= MAX_SHOWN
    assert text.isprintable(), ascii(text)


@relaxed
@given(st.one_of(st.text(), st.binary(), st.integers(), st.dictionaries(st.text(), st.text())))
def test_generated_values(value: object) -> None:
    """The same for whatever is generated."""
    text = shorten(value)

    assert 0 < len(text) <= MAX_SHOWN
    assert text.isprintable(), ascii(text)


def test_hostile_type_has_a_name() -> None:
    """A type whose name raises is shown as an object."""
    assert type_name(Hostile()) == "object"
    assert type_name(5) == "int"


def test_errors() -> None:
    """An error is shown with its class, its text cut and made printable."""
    assert describe_error(KeyError("x")) == "KeyError: 'x'"
    assert describe_error(RuntimeError()) == "RuntimeError"
    loud = describe_error(RuntimeError(Loud()))
    assert loud.startswith("RuntimeError: ?[31m?Loud?!!!")
    assert len(loud) < 250
    assert describe_error(RuntimeError(Hostile())) == "RuntimeError"
