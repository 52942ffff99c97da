"""`SamplingFilter`: one in so many transactions, each with its query and its response."""

from __future__ import annotations

import copy
import logging
import os
from typing import Any, Dict, List, Union

from ..arguments import flag, integer
from ..dnswire.message import HEADER_SIZE, read_header
from ..message.values import Endpoint
from ..shorten import type_name
from .records import Misplaced, has_dns_keys, question_in, read, wires_of

__all__ = ["SamplingFilter"]

MAX_KEY = 64  # bytes of a key of BLAKE2b
DIGEST_SIZE = 8  # bytes of the hash: so many that all remainders are equally likely

PROCESS_KEY = os.urandom(32)
"""The default key: all filters of a process, and of its forks, choose the same records."""

MISPLACED = (
    "state_rate=True needs a dnstap handler; from a logger, or a handler of another kind, records"
    " go on without the rate"
)


class SamplingFilter(logging.Filter):
    """Keep one in ``rate`` records, so that a query and its response are kept or dropped together.

    A keyed hash of the client's address (the query address), the DNS ID and the question decides;
    the transport and the case of the name do not matter. The ID and the question are read from the
    query message, or else from the response message, so a response with only its own message is
    kept or dropped like its query. Without a message the client's address and port decide, without
    those the time. A record without dns extras passes.

    Args:
        rate: 1 in how many records is kept; 1 keeps all.
        key: of the hash, 1 to 64 bytes, or text, which is encoded as UTF-8. Processes that log
            parts of the same traffic need the same key. The default is random, but the same for
            all filters of a process.
        state_rate: True states the rate in Dnstap.extra, as ``sample_rate=100``, after the
            record's own ``dns_extra`` and a space if it has one. Only if the filter is attached to
            a dnstap handler. If the handler has a formatter, which ``dns_extra`` would replace,
            leave this out and write the rate into the format.

    Raises:
        TypeError, ValueError: naming the argument and what is right.
    """

    __module__ = "dnstap_logging.filters"

    def __init__(
        self, rate: int, key: Union[str, bytes, None] = None, state_rate: bool = False
    ) -> None:
        super().__init__()
        self.rate = integer("rate", rate, 1)
        self.state_rate = flag("state_rate", state_rate)
        self._misplaced = Misplaced("SamplingFilter", MISPLACED)
        self._key = _read_key(key)
        self._hash = self._new_hash()

    def _new_hash(self) -> Any:
        import hashlib  # late: most programs do not need it, and importing it takes long

        return hashlib.blake2b(key=self._key, digest_size=DIGEST_SIZE)

    def __getstate__(self) -> Dict[str, Any]:
        """Leave out the hash, which cannot be copied: a copy makes it from the key."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hash = self._new_hash()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is in the sample."""
        if not has_dns_keys(record):
            return True
        if self.state_rate:
            self._misplaced.report()
        return self._is_chosen(record)

    def dnstap_filter(self, record: logging.LogRecord) -> Union[bool, logging.LogRecord]:
        """Do the same for a dnstap handler, which accepts a copy that states the rate."""
        if not has_dns_keys(record):
            return True
        if not self._is_chosen(record):
            return False
        return self._with_rate(record) if self.state_rate else True

    def _is_chosen(self, record: logging.LogRecord) -> bool:
        digest = self._hash.copy()
        for part in _identity(record):
            digest.update(len(part).to_bytes(2, "big") + part)
        return int.from_bytes(digest.digest(), "big") % self.rate == 0

    def _with_rate(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return a copy with the rate; a bad ``dns_extra`` is left for the handler to report."""
        given = read(record, "extra")
        if given is not None and not isinstance(given, bytes):
            return record
        stated = b"sample_rate=%d" % self.rate
        changed = copy.copy(record)
        changed.__dict__["dns_extra"] = given + b" " + stated if given else stated
        return changed


def _read_key(key: object) -> bytes:
    """Check a key; an error must not show it."""
    if key is None:
        return PROCESS_KEY
    right = f"1 to {MAX_KEY} bytes, or text of that length in UTF-8"
    if not isinstance(key, (str, bytes)):
        raise TypeError(f"key: must be {right}, not {type_name(key)}")
    octets = key.encode("utf-8", "backslashreplace") if isinstance(key, str) else key
    if not 1 <= len(octets) <= MAX_KEY:
        raise ValueError(f"key of {len(octets)} bytes: must be {right}")
    return octets


def _identity(record: logging.LogRecord) -> List[bytes]:
    """Return what a query and its response have in common, and other records do not."""
    endpoint = read(record, "query_address")
    if not isinstance(endpoint, Endpoint):
        endpoint = Endpoint(None, None)
    address = endpoint.address or b""
    # The query first, even in a response's record: it is all that the query's record has.
    for wire in wires_of(record):
        if len(wire) >= HEADER_SIZE:
            question = question_in(wire)
            asked = b"" if question is None else b"%d %d " % question[1:] + question.name.lower()
            return [address, b"%d" % read_header(wire).message_id, asked]
    port = read(record, "query_port") or endpoint.port
    if address or port:
        return [address, b"%d" % port if isinstance(port, int) else b""]
    return [repr(record.created).encode()]
