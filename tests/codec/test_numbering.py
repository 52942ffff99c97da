"""Numbers at the end of Dnstap.extra: which messages have them, and what reads them back."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from dnstap_logging import DnstapHandler, DnstapMessage, RotatingDnstapHandler
from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.encoding import DEFAULT_MAX_PAYLOAD, Encoder, NumberingEncoder
from dnstap_logging.codec.numbering import Numbering
from dnstap_logging.exceptions import DnstapLoggingError
from dnstap_logging.message.snapshot import take_snapshot
from tests.helpers.records import WIRE, query, read
from tests.helpers.said import Said
from tests.helpers.support import dnstap_payload

RUN = "0123456789abcdef"


def sequences(path: Path) -> List[Tuple[int, int]]:
    """Return number and drops of each message of a capture of one run."""
    found = [message.sequence for message in read(path)]
    assert len({each and each[0] for each in found}) == 1, found
    return [each[1:] for each in found if each]


def encode(encoder: Encoder, **extras: Any) -> Optional[bytes]:
    """Return the payload of a record, or None if it is refused."""
    try:
        return encoder.encode_record(take_snapshot(extras, 1.7e9), [])
    except DnstapLoggingError:
        return None


@pytest.mark.parametrize(
    ("extra", "sequence"),
    [
        (f"seq={RUN}/1/0", (RUN, 1, 0)),
        (f"upstream=192.0.2.7 seq={RUN}/20/3", (RUN, 20, 3)),
        (f"seq={RUN}/1/0 seq={RUN}/2/0", (RUN, 2, 0)),
        (f"two\nlines seq={RUN}/{10**19 - 1}/{10**19 - 1}", (RUN, 10**19 - 1, 10**19 - 1)),
        (b"\xff\x00 " + f"seq={RUN}/7/0".encode(), (RUN, 7, 0)),
        (None, None),
        ("", None),
        ("seq=", None),
        (f"seq={RUN}/1", None),
        (f"seq={RUN}/1/", None),
        (f"seq={RUN}//0", None),
        (f"seq={RUN}/0/0", None),
        (f"seq={RUN}/01/0", None),
        (f"seq={RUN}/1/00", None),
        (f"seq={RUN}/-1/0", None),
        (f"seq={RUN}/1/+0", None),
        (f"seq={RUN}/1_0/0", None),
        (f"seq={RUN}/\u0661/0", None),
        (f"seq={RUN}/{10**19}/0", None),
        (f"seq={RUN}/{'9' * 5000}/0", None),
        (f"seq={RUN.upper()}/1/0", None),
        (f"seq={RUN[:-1]}/1/0", None),
        (f"seq={RUN}0/1/0", None),
        (f"SEQ={RUN}/1/0", None),
        (f"xseq={RUN}/1/0", None),
        (f"\nseq={RUN}/1/0", None),
        (f"\tseq={RUN}/1/0", None),
        (f"seq={RUN}/1/0 ", None),
        (f"seq={RUN}/1/0\n", None),
        (f"seq={RUN}/1/0 more", None),
    ],
)
def test_sequence_is_read_strictly(extra: Any, sequence: Optional[Tuple[str, int, int]]) -> None:
    """Only what handlers write at the end of extra is a sequence; anything else is None."""
    assert DnstapMessage("CLIENT_QUERY", extra=extra).sequence == sequence


def test_usual_and_unusual_records_are_numbered_alike() -> None:
    """A record takes one number, whichever way it is encoded; a refused one takes none."""
    numbering = Numbering()
    encoder = NumberingEncoder(numbering, b"me", b"1", True, DEFAULT_MAX_PAYLOAD)
    plain = Encoder(b"me", b"1")
    kinds: List[Dict[str, Any]] = [
        query(),
        query(dns_extra="note"),
        query(dns_identity="other"),
        query(dns_query_address="192.0.2.1"),  # text
        query(dns_query_time="unusable"),
        {"dns_message_type": "TOOL_RESPONSE"},
    ]
    for expected, extras in enumerate(kinds * 2, 1):
        assert encode(encoder, dns_message_type="NO_SUCH_TYPE") is None
        assert encode(encoder, dns_query_message=WIRE) is None
        assert encode(encoder, **query(dns_query_message=bytes(65536))) is None
        payload, unnumbered = encode(encoder, **extras), encode(plain, **extras)
        assert payload
        assert unnumbered
        message, same = decode(payload), decode(unnumbered)
        assert message.sequence == (str(numbering)[4:20], expected, 0)
        label = b"seq=%s/%d/0" % (message.sequence[0].encode(), expected)
        assert message.extra == (label if same.extra is None else same.extra + b" " + label)
        assert message._replace(extra=None) == same._replace(extra=None)


def test_the_size_limit_holds_with_the_numbers() -> None:
    """Near max_frame_size, payloads stay below it, and a refused record leaves no gap."""
    numbering = Numbering()
    encoder = NumberingEncoder(numbering, b"", b"", True, 512)
    kept: List[bytes] = []
    for size in range(300, 520):
        payload = encode(encoder, dns_message_type="CLIENT_QUERY", dns_query_message=bytes(size))
        kept += [payload] if payload else []
    assert 0 < len(kept) < 220
    assert max(map(len, kept)) == 512
    numbers = [sequence[1] for sequence in (decode(each).sequence for each in kept) if sequence]
    assert numbers == list(range(1, len(kept) + 1))

    both = encode(
        encoder,
        dns_message_type="CLIENT_RESPONSE",
        dns_query_message=bytes(300),
        dns_response_message=bytes(300),
    )
    assert both
    message = decode(both)
    assert message.query_message is None
    assert message.sequence
    assert message.sequence[1] == len(kept) + 1


def test_no_two_runs_are_the_same() -> None:
    """Each handler has a run of its own, of 16 hexadecimal digits."""
    runs = {str(Numbering()) for _ in range(1000)}
    assert len(runs) == 1000
    assert all(re.fullmatch(r"seq=[0-9a-f]{16}/0/0", run) for run in runs)


def test_a_handler_numbers_records_and_says_the_last(
    capture: Path, logger: logging.Logger, said: Said
) -> None:
    """Drops are carried along and leave no gap; ready payloads stay as they are."""
    handler = DnstapHandler(capture, sequence=True, queue_bytes=100_000)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.info("first", extra=query())
    assert handler.flush()
    logger.info("invalid", extra={"dns_message_type": "NONE"})
    logger.info("second", extra=query())
    assert handler.flush()
    handler.emit_payload(dnstap_payload(7))
    logger.info("queue_bytes", extra=query(dns_query_message=b"x" * 65000 + bytes(40000)))
    logger.info("", extra=query())
    handler.close()
    logger.info("closed", extra=query())

    messages = read(capture)
    assert [(each.extra or b"").partition(b"seq=")[0] for each in messages] == [
        b"first ",
        b"second ",
        b"7",
        b"",
    ]
    found = [each.sequence[1:] for each in messages if each.sequence]
    assert found == [(1, 0), (2, 1), (3, 2)]
    run = messages[0].sequence and messages[0].sequence[0]
    line = said.wait_for("the last number of the sequence")
    assert line.endswith(f": the last number of the sequence: seq={run}/3/2")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: DnstapHandler(path),
        lambda path: DnstapHandler(path, sequence=False),
        lambda path: DnstapHandler(path, sequence=True),
    ],
)
def test_without_records_or_numbers_nothing_is_said(
    capture: Path, said: Said, make: Callable[[Path], DnstapHandler]
) -> None:
    """No line about a sequence that has no number."""
    handler = make(capture)
    handler.close()
    said.wait_for("stream ended")
    assert not said.with_text("sequence")


def test_a_run_goes_on_across_files_and_sessions(tmp_path: Path, logger: logging.Logger) -> None:
    """reopen() and a rollover keep the run; another handler begins one of its own."""
    path = tmp_path / "capture.fstrm"
    handler = RotatingDnstapHandler(path, maxBytes=10_000_000, backupCount=9, sequence=True)
    logger.addHandler(handler)
    for _ in range(3):
        logger.info("", extra=query())
        handler.doRollover()
        logger.info("", extra=query())
        handler.flush()
        handler.reopen()
    handler.close()

    files = [tmp_path / f"capture.fstrm.{number}" for number in (3, 2, 1)]
    messages = [message for each in [*files, path] for message in read(each)]
    found = [message.sequence for message in messages]
    assert [each[1] for each in found if each] == list(range(1, 7))
    assert len({each[0] for each in found if each}) == 1


def test_dict_config_passes_the_argument(tmp_path: Path) -> None:
    """A configuration's handler takes sequence as it takes every argument."""
    import logging.config

    path = tmp_path / "capture.fstrm"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "tap": {
                    "class": "dnstap_logging.DnstapHandler",
                    "address": str(path),
                    "sequence": True,
                }
            },
            "loggers": {"numbered": {"handlers": ["tap"], "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("numbered")
    logger.info("", extra=query())
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()

    assert sequences(path) == [(1, 0)]
