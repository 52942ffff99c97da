"""What is in a capture: seen by the tests' own eyes, by fstrm_dump and by the dnstap tool.

Nothing here uses the library: a Frame Streams splitter and a protobuf walker of a few lines each,
and the real programs.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

from tests.helpers.support import CONTENT_TYPE, START, STOP, control, require_program

TOOL_TIMEOUT = 60.0

DNSTAP_FIELDS = {1: "identity", 2: "version", 3: "extra", 14: "message", 15: "type"}
MESSAGE_FIELDS = {
    1: "type",
    2: "socket_family",
    3: "socket_protocol",
    4: "query_address",
    5: "response_address",
    6: "query_port",
    7: "response_port",
    8: "query_time_sec",
    9: "query_time_nsec",
    10: "query_message",
    11: "query_zone",
    12: "response_time_sec",
    13: "response_time_nsec",
    14: "response_message",
    15: "policy",
    16: "http_protocol",
}
NEWER_NAMES = {"DNSCryptUDP": "5", "DNSCryptTCP": "6", "DOQ": "7"}
"""Socket protocols that older versions of the dnstap tool show as numbers."""
POLICY_FIELDS = {1: "type", 2: "rule", 3: "action", 4: "match", 5: "value"}

Fields = Dict[str, Any]
"""A Dnstap by its field names: identity, version, extra, and "message" with those of Message."""


class Capture(NamedTuple):
    """A capture file.

    Attributes:
        payloads: of its data frames.
        complete: whether the STOP frame is there, and is the end.
        rest: bytes of a last frame that was cut.
    """

    payloads: List[bytes]
    complete: bool
    rest: int


def read_capture(path: Union[str, os.PathLike[str]]) -> Capture:
    """Split a capture into its frames; it must begin with START and our content type."""
    return split_frames(Path(path).read_bytes())


def split_frames(data: bytes) -> Capture:
    """Split a stream that begins with START into its frames."""
    start, stop = control(START, CONTENT_TYPE), control(STOP)
    if start.startswith(data):
        return Capture([], False, len(data) % len(start))
    assert data.startswith(start), f"it does not begin with START: {data[:50]!r}"
    payloads: List[bytes] = []
    at = len(start)
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("!I", data, at)
        if size == 0:
            if data[at:] == stop:
                return Capture(payloads, True, 0)
            break
        if at + 4 + size > len(data):
            break
        payloads.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    rest = data[at:]
    assert rest[:4] != b"\0\0\0\0" or stop.startswith(rest), f"unexpected at {at}: {rest[:50]!r}"
    return Capture(payloads, False, len(rest))


def decode(payload: bytes) -> Fields:
    """Decode a Dnstap payload by hand: every field that is on the wire, once."""
    fields = _walk(payload, DNSTAP_FIELDS)
    message = fields["message"] = _walk(fields["message"], MESSAGE_FIELDS)
    if "policy" in message:
        message["policy"] = _walk(message["policy"], POLICY_FIELDS)
    return fields


def _walk(data: bytes, names: Dict[int, str]) -> Fields:
    """Return the fields of one protobuf message."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        name = names[key >> 3]
        assert name not in fields, f"{name} is there twice"
        fields[name], at = _value(data, at, key & 7)
    assert at == len(data), "the last field is cut"
    return fields


def _value(data: bytes, at: int, wire_type: int) -> Tuple[Union[int, bytes], int]:
    if wire_type == 0:
        return _varint(data, at)
    if wire_type == 5:
        return int.from_bytes(data[at : at + 4], "little"), at + 4
    assert wire_type == 2, f"wire type {wire_type} is not in dnstap.proto"
    size, at = _varint(data, at)
    return data[at : at + size], at + size


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def run_tool(name: str, *arguments: Union[str, os.PathLike[str]]) -> Tuple[str, str]:
    """Run a program to its end; return what it printed to stdout and to stderr."""
    done = subprocess.run(
        [require_program(name), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr}"
    return done.stdout, done.stderr


def dnstap_json(path: Path) -> List[Fields]:
    """Return what ``dnstap -j`` shows of a capture, as the older versions show it."""
    shown: List[Fields] = []
    for line in run_tool("dnstap", "-r", path, "-j")[0].splitlines():
        fields = json.loads(line)
        protocol = fields["message"]["socket_protocol"]
        fields["message"]["socket_protocol"] = NEWER_NAMES.get(protocol, protocol)
        shown.append(fields)
    return shown


def dnstap_quiet(path: Path) -> List[str]:
    """Return what ``dnstap -q`` shows of a capture, one line a message."""
    return run_tool("dnstap", "-r", path, "-q")[0].splitlines()


class Dump(NamedTuple):
    """What fstrm_dump shows: the payloads in its notation, and the control frames."""

    payloads: List[str]
    control: List[str]


def fstrm_dump(path: Path) -> Dump:
    """Return what fstrm_dump shows of a capture."""
    payloads, notes = run_tool("fstrm_dump", path)
    control = [line for line in notes.splitlines() if line.startswith("FSTRM_CONTROL")]
    return Dump([line.strip() for line in payloads.splitlines()], control)


def as_dumped(payload: bytes) -> str:
    """Return a payload in fstrm_dump's notation."""
    return '"' + "".join(map(_DUMPED.__getitem__, payload)) + '"'


_DUMPED = [chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in range(256)]
_DUMPED[ord('"')] = '\\"'


def assert_same(actual: Sequence[object], expected: Sequence[object], what: str) -> None:
    """Compare two long sequences; show the first difference only."""
    for number, (one, other) in enumerate(zip(actual, expected)):
        assert one == other, f"{what}: number {number} differs:\n{one!r}\nnot\n{other!r}"
    assert len(actual) == len(expected), f"{len(actual)} of {what}, not {len(expected)}"
