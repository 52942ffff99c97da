"""Wrong arguments of filters: refused where they are written, in words that help."""

from __future__ import annotations

import logging.config
from typing import Any, Callable, Dict, Type

import pytest

from dnstap_logging.filters import (
    AnonymizingFilter,
    MessageTypeFilter,
    QnameFilter,
    RcodeFilter,
    SamplingFilter,
)

SECRET = "00" * 16


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: MessageTypeFilter([]), ValueError, r"types=\[\]: must be .* at least one"),
        (lambda: MessageTypeFilter(None), TypeError, r"types=None: must be .*'CLIENT_\*'.* list"),
        (lambda: MessageTypeFilter({"a": 1}), TypeError, r"types=\{'a': 1\}: must be "),
        (lambda: MessageTypeFilter("CLIENT"), ValueError, r"types='CLIENT': must be a MessageType"),
        (
            lambda: MessageTypeFilter(["TOOL_*", "CLEINT_*"]),
            ValueError,
            r"types=\['TOOL_\*', 'CLEINT_\*'\]: 'CLEINT_\*': matches no message type; .*CLIENT_Q",
        ),
        (lambda: MessageTypeFilter([15]), ValueError, r"types=\[15\]: 15: .*1 to 14"),
        (lambda: MessageTypeFilter([True]), TypeError, r"types=\[True\]: True: must be"),
        (lambda: QnameFilter(None), TypeError, r"include=None: must be a domain name"),
        (lambda: QnameFilter(exclude=7), TypeError, r"exclude=7: must be bytes, or a DNS name"),
        (lambda: QnameFilter(["a..b"]), ValueError, r"include=\['a..b'\]: 'a..b': .*empty label"),
        (lambda: QnameFilter("*.example.org"), ValueError, r"write 'example.org', which stands"),
        (lambda: QnameFilter(b"example"), ValueError, r"include=b'example': .*wire format"),
        (lambda: RcodeFilter("NXDOMIAN"), ValueError, r"include='NXDOMIAN': .*NOERROR, FORMERR"),
        (lambda: RcodeFilter(exclude=[4096]), ValueError, r"exclude=\[4096\]: 4096: .*0 to 4095"),
        (lambda: RcodeFilter(include=-1), ValueError, r"include=-1: must be a response code"),
        (lambda: RcodeFilter(include=[False]), TypeError, r"False: must be a response code"),
        (lambda: RcodeFilter(include=1.0), TypeError, r"include=1.0: must be a response code"),
        (lambda: RcodeFilter(include=None), TypeError, r"include=None: must be a response code"),
        (lambda: SamplingFilter(0), ValueError, r"rate=0: must be an integer of at least 1"),
        (lambda: SamplingFilter(0.1), TypeError, r"rate=0.1: must be an integer"),
        (lambda: SamplingFilter(True), TypeError, r"rate=True: must be an integer"),
        (lambda: SamplingFilter(2, key=b""), ValueError, r"key of 0 bytes: must be 1 to 64"),
        (lambda: SamplingFilter(2, key="ä" * 33), ValueError, r"key of 66 bytes: must be 1 to 64"),
        (lambda: SamplingFilter(2, key=3), TypeError, r"key: must be 1 to 64 bytes.*, not int"),
        (lambda: SamplingFilter(2, state_rate=1), TypeError, r"state_rate=1: must be True or"),
        (lambda: SamplingFilter(), TypeError, r"rate"),
        (lambda: SamplingFilter(2, rates=3), TypeError, r"rates"),
        (lambda: AnonymizingFilter(33), ValueError, r"ipv4_prefix=33: .*32; 0 or None removes"),
        (lambda: AnonymizingFilter(-1), ValueError, r"ipv4_prefix=-1: .*0 to 32"),
        (lambda: AnonymizingFilter("24"), TypeError, r"ipv4_prefix='24': must be an integer"),
        (lambda: AnonymizingFilter(True), TypeError, r"ipv4_prefix=True: must be an integer"),
        (lambda: AnonymizingFilter(24, 129), ValueError, r"ipv6_prefix=129: .*0 to 128"),
        (lambda: AnonymizingFilter(24, 48.0), TypeError, r"ipv6_prefix=48.0: must be an integer"),
        (lambda: AnonymizingFilter(key=b"short"), ValueError, r"key of 5 bytes: must be 32 bytes"),
        (lambda: AnonymizingFilter(key="zz" * 32), ValueError, r"key of 64 characters: must be 32"),
        (lambda: AnonymizingFilter(key=SECRET), ValueError, r"key of 16 bytes: .*64 hexadecimal"),
        (lambda: AnonymizingFilter(key=1), TypeError, r"key: must be 32 bytes.*, not int"),
    ],
)  # fmt: skip
def test_wrong_arguments(make: Callable[[], object], error: Type[Exception], text: str) -> None:
    """The error names the argument, shows the value (but no key) and says what is right."""
    with pytest.raises(error, match=text) as raised:
        make()
    assert SECRET not in str(raised.value)


def configuration(**filter_: Any) -> Dict[str, Any]:
    """Return a dictConfig with one filter."""
    return {"version": 1, "disable_existing_loggers": False, "filters": {"mine": filter_}}


def test_a_wrong_argument_in_dictconfig() -> None:
    """dictConfig names the filter, and the cause says what is wrong with it."""
    kind = "dnstap_logging.filters.MessageTypeFilter"

    with pytest.raises(ValueError, match="mine") as raised:
        logging.config.dictConfig(configuration(**{"()": kind, "types": ["CLIENT*X"]}))

    assert "types=['CLIENT*X']: 'CLIENT*X': matches no message type" in str(raised.value.__cause__)
