"""Records to payloads on the hot path: a protobuf message is kept for each kind of record.

The plain way of a record is `message.check` and `Encoder.encode`. Most records of a program are of
a few kinds, though: the same keys, type and protocol, and each time another client, time and DNS
message. So the first record of a kind goes the plain way, and its protobuf message is kept as a
template; of the next ones only what differs is filled in (`filling.py`), in a fifth of the time.
Whatever is not quite as usual (a value of another type, out of range, missing) goes the plain way,
which alone knows what to say about it. The bytes are the same on both ways.

Belongs to whoever drives the delivery, which is the writer thread.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Callable, Dict, List, Optional, Tuple

from .encoding import DEFAULT_MAX_PAYLOAD, Encoder
from .exceptions import InvalidMessage, MessageTooLarge
from .extras import PAYLOAD, Converted, KeySet, Snapshot, Unusable
from .filling import FILLED, STEADY, Fill, Hosts, make_fill
from .message import DnstapMessage, Problem, check
from .shorten import shorten

__all__ = ["RecordEncoder"]

MAX_LAYOUTS = 256
"""Sets of keys for which templates are kept: a program has a few, a hostile one ever new ones."""

MAX_TEMPLATES = 64
"""Templates for one set of keys: 14 types and some protocols."""

# What the calling thread had to look at is no usual value, and tells not what it was.
CONVERTED = frozenset((Converted, Unusable))

# What would have to be the same in all records, and is in nobody's.
NEVER_FIXED = ("query_time", "response_time", "policy")


class RecordEncoder:
    """Encodes records one after the other; owned by one thread.

    Args:
        identity: as of `Encoder`, as are the others.
        version: likewise.
        full: likewise.
        max_frame_size: likewise.
    """

    def __init__(
        self,
        identity: bytes,
        version: bytes,
        full: bool = True,
        max_frame_size: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self._plain = Encoder(identity, version, full, max_frame_size)
        self._full = full
        self._max_frame_size = max_frame_size
        self._hosts = Hosts()
        self._layouts: Dict[KeySet, _Layout] = {}
        self._fills: Dict[KeySet, Fill] = {}

    def encode(self, snapshot: Snapshot, problems: List[Problem]) -> bytes:
        """Return the Dnstap payload of a record.

        Args:
            snapshot: what `take_snapshot` returned.
            problems: gets one problem for each field that had to be left out.

        Raises:
            MessageTooLarge: as `check` and `Encoder.encode`.
            InvalidMessage: likewise.
        """
        fill = self._fills.get(snapshot[1])
        if fill is not None:
            try:
                payload = fill(snapshot)
            except Exception:  # noqa: BLE001 - an unusual value: the plain way finds out which
                payload = None
            except BaseException:  # Ctrl-C, where the main thread delivers: it is filled in by half
                self._forget()
                raise
            if payload is not None:
                return payload
        return self._encode_plainly(snapshot, problems)

    def _encode_plainly(self, snapshot: Snapshot, problems: List[Problem]) -> bytes:
        if snapshot[1] is PAYLOAD:
            return self._checked(snapshot[2][0])
        known_problems = len(problems)
        message = check(snapshot, problems)
        payload = self._plain.encode(message, problems)
        if len(problems) == known_problems:
            self._learn(snapshot, message, payload)
        return payload

    def _checked(self, payload: Any) -> bytes:
        """Return a ready payload, if it can be a frame."""
        if not isinstance(payload, bytes) or not payload:
            raise InvalidMessage(
                f"{shorten(payload)} is no payload: it must be bytes, and not empty"
            )
        if len(payload) > self._max_frame_size:
            size, limit = len(payload), self._max_frame_size
            raise MessageTooLarge(f"a payload of {size} bytes, more than max_frame_size={limit}")
        return payload

    def _learn(self, snapshot: Snapshot, message: DnstapMessage, payload: bytes) -> None:
        """Make a template of a record that went the plain way, if it is a usual one."""
        keys, values = snapshot[1], snapshot[2]
        layout = self._layouts.get(keys)
        if layout is None:
            if len(self._layouts) >= MAX_LAYOUTS:
                self._forget()
            layout = self._layouts[keys] = _Layout(keys)
        if not layout.takes(message, values):
            return
        fill = make_fill(
            payload, values, layout.at, layout.fixed, self._hosts, self._full, self._max_frame_size
        )
        self._fills[keys] = layout.keep(values, fill)

    def _forget(self) -> None:
        self._layouts.clear()
        self._fills.clear()


class _Layout:
    """Where the fields are in the records that have the same keys, and their templates.

    Attributes:
        at: the positions of the values that are filled in, by name.
        fixed: the names of all other fields that have a value: the same in all records of a
            template. What is fixed as None is as good as not there.
    """

    def __init__(self, keys: KeySet) -> None:
        names = [field.name for field in keys.fields]
        fixed = [name for name, value in zip(names, keys.fixed) if value is not None]
        at = {name: number for number, name in enumerate(names[len(keys.fixed) :])}
        steady = [at[name] for name in STEADY if name in at]
        self.at = {name: at[name] for name in FILLED if name in at}
        self.fixed = frozenset((*fixed, *at)).difference(self.at)
        self._is_usual = (
            not keys.unknown
            and len(self.at) + len(steady) == len(at)
            and frozenset(fixed).isdisjoint(NEVER_FIXED)
        )
        # Returns of the values those that must be the same in all records of one template. Of the
        # adapter's there are none.
        self._kind_of: Optional[Callable[[Tuple[object, ...]], Tuple[object, ...]]] = None
        if steady:
            self._kind_of = itemgetter(*steady, steady[0])  # a tuple for two and more only
        self._fills: Dict[object, Fill] = {}

    def takes(self, message: DnstapMessage, values: Tuple[object, ...]) -> bool:
        """Tell whether a record can be, and is not yet, the first of a kind."""
        if not self._is_usual or not CONVERTED.isdisjoint(map(type, values)):
            return False
        if self._kind(values) in self._fills:
            return False
        return all(getattr(message, name) is not None for name in self.at)

    def _kind(self, values: Tuple[object, ...]) -> Tuple[object, ...]:
        return () if self._kind_of is None else self._kind_of(values)

    def keep(self, values: Tuple[object, ...], fill: Fill) -> Fill:
        """Keep a template for records like this one; return what fills in all of this layout."""
        kind = self._kind(values)
        if not all(type(value) is str for value in kind):
            fill = self._only_for(kind, fill)
        if len(self._fills) >= MAX_TEMPLATES:
            self._fills.clear()
        self._fills[kind] = fill
        return fill if self._kind_of is None else self._make_choice(self._kind_of)

    def _make_choice(self, kind_of: Callable[[Tuple[object, ...]], Tuple[object, ...]]) -> Fill:
        """Return a `Fill` that takes the template of each record's kind."""
        known = self._fills.get

        def choose(snapshot: Snapshot) -> Optional[bytes]:
            fill = known(kind_of(snapshot[2]))
            return None if fill is None else fill(snapshot)

        return choose

    def _only_for(self, kind: Tuple[object, ...], fill: Fill) -> Fill:
        """Guard a template of numbers: True, 1.0 or another enumeration's member may equal them."""
        types = tuple(map(type, kind))

        def guarded(snapshot: Snapshot) -> Optional[bytes]:
            return fill(snapshot) if tuple(map(type, self._kind(snapshot[2]))) == types else None

        return guarded
