"""What is in a capture, counted: messages by type, their first and last time."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from ..codec.decoding import decode_type_and_time
from ..exceptions import DecodeError
from ..message.enums import MessageType
from ..message.values import MAX_SECONDS, NS
from ..text.json import json_text, time_text
from ..text.octets import clean
from . import numbers
from .capture_input import JOINED, Capture, Damage
from .tally import Tally

__all__ = ["CheckReport"]

UNDECODABLE = "undecodable"  # in the place of a message type
END_OF_TIME = MAX_SECONDS * NS
WIDTH = max(len(each.name) for each in MessageType)


class CheckReport:
    """Counts of one capture.

    Args:
        capture: it, for what cannot be decoded.
        payloads: those of its frames.

    Attributes:
        messages: how many could be decoded.
        undecodable: how many frames held something else.
        streams: how many there are; captures that were joined have several.
        payload_bytes: of all of them.
        first: the earliest time of a message, in nanoseconds since the epoch; None without any.
        last: the latest time.
    """

    def __init__(self, capture: Capture, payloads: Iterable[bytes]) -> None:
        self._types: Tally[MessageType] = Tally(MessageType)
        self.messages = self.undecodable = self.payload_bytes = 0
        self.first: Optional[int] = None
        self.last: Optional[int] = None
        self._count(capture, payloads)
        self.streams = capture.streams

    def _count(self, capture: Capture, payloads: Iterable[bytes]) -> None:
        types, messages, size, first, last = self._types, 0, 0, END_OF_TIME, -1
        for payload in payloads:
            size += len(payload)
            try:
                kind, stamp = decode_type_and_time(payload)
            except DecodeError as error:
                capture.pass_over(error)
                self.undecodable += 1
                continue
            messages += 1
            if kind in types:
                types[kind] += 1
            else:
                types.add(kind)
            if stamp is None:
                continue
            if stamp < first:
                first = stamp
            if stamp > last:
                last = stamp
        self.messages, self.payload_bytes = messages, size
        if last >= 0:
            self.first, self.last = first, last

    @property
    def types(self) -> Dict[str, int]:
        """How many of each type that there was."""
        return dict(self._types.named())

    def as_text(self, name: str, damage: Optional[Damage], saved: Optional[str]) -> str:
        """Return the report for people.

        Args:
            name: of the capture.
            damage: what is wrong with it.
            saved: where a repaired capture is.
        """
        state = "whole" if damage is None else f"not whole: {damage.where}"
        messages = numbers.counted(self.messages, "message")
        lines: List[str] = [clean(f"{name}: {state}"), f"  {messages}"]
        if self.streams > 1:
            lines.append(f"  {numbers.counted(self.streams, 'stream')}, {JOINED}")
        counts = {**self.types, **({UNDECODABLE: self.undecodable} if self.undecodable else {})}
        lines += [f"  {kind:<{WIDTH}}  {count}" for kind, count in counts.items()]
        for title, stamp in (("first", self.first), ("last", self.last)):
            if stamp is not None:
                lines.append(f"  {title:<{WIDTH}}  {time_text(stamp)}")
        if saved is not None:
            frames = numbers.counted(self.messages + self.undecodable, "frame")
            lines.append(clean(f"  saved {frames} in {saved}"))
        return "\n".join(lines)

    def as_json(self, name: str, damage: Optional[Damage], saved: Optional[str]) -> str:
        """Return the report as one line of JSON; arguments as `as_text`."""
        report: Dict[str, Any] = {"file": name, "whole": damage is None}
        if damage is not None:
            report.update(offset=damage.offset, reason=damage.reason)
        if self.streams > 1:
            report.update(streams=self.streams)
        report.update(messages=self.messages, types=self.types, undecodable=self.undecodable)
        report.update(first=time_text(self.first), last=time_text(self.last))
        report.update(payload_bytes=self.payload_bytes)
        if saved is not None:
            report["saved_in"] = saved
        return json_text(report)
