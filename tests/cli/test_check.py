"""``dnstap-logging check``: whole or not, what is in a capture, and what can be saved of it."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Dict

import pytest

from tests.cli.running import PROGRAM, call, run
from tests.cli.samples import payloads, query, response, write
from tests.helpers.programs import with_environment
from tests.helpers.support import FINISH, capture, control, data
from tests.situations.interop.captures import dnstap_json, fstrm_dump, read_capture

MESSAGES = [query(3), response(4), query(1), response(2, rcode=3), query(5)]


def test_whole(tmp_path: Path) -> None:
    """Of a whole capture, messages by type, first and last time are told; status 0."""
    path = write(tmp_path / "1", MESSAGES)

    assert call("check", path) == (
        0,
        f"{path}: whole\n"
        "  5 messages\n"
        "  CLIENT_QUERY        3\n"
        "  CLIENT_RESPONSE     2\n"
        "  first               2026-01-01T12:00:01Z\n"
        "  last                2026-01-01T12:00:05Z\n",
        "",
    )


def test_json(tmp_path: Path) -> None:
    """``--json`` says the same for programs, one object a file."""
    one, other = write(tmp_path / "1", MESSAGES), write(tmp_path / "2", [], stop=False)

    outcome = call("check", "--json", one, other)

    first, second = map(json.loads, outcome.out.splitlines())
    assert first == {
        "file": str(one),
        "whole": True,
        "messages": 5,
        "types": {"CLIENT_QUERY": 3, "CLIENT_RESPONSE": 2},
        "undecodable": 0,
        "first": "2026-01-01T12:00:01Z",
        "last": "2026-01-01T12:00:05Z",
        "payload_bytes": sum(map(len, payloads(MESSAGES))),
    }
    assert (second["whole"], second["offset"], second["first"]) == (False, 42, None)
    assert outcome.status == 1


@pytest.mark.parametrize("source", ["kdig", "knotd", "dnsdist", "own"])
def test_real_captures(source: str, real_captures: Dict[str, Path]) -> None:
    """Captures of real programs are whole, and have as many of each type as the tool counts."""
    path = real_captures[source]

    outcome = call("check", "--json", path)

    report = json.loads(outcome.out)
    assert (outcome.status, report["whole"]) == (0, True)
    assert report["types"] == Counter(each["message"]["type"] for each in dnstap_json(path))


def test_several_files(tmp_path: Path) -> None:
    """Every file is reported, also behind one that cannot be read; the worst status counts."""
    whole, torn = write(tmp_path / "1", MESSAGES), write(tmp_path / "2", MESSAGES, stop=False)

    outcome = call("check", torn, tmp_path / "none", whole)

    assert outcome.status == 2
    assert f"{torn}: not whole" in outcome.out
    assert f"{whole}: whole" in outcome.out
    assert f"{tmp_path / 'none'}: cannot be read: No such file" in outcome.err
    assert call("check", torn, whole).status == 1


def test_names_of_files_are_safe_on_a_terminal(tmp_path: Path) -> None:
    """No control character of a file's name gets into the report."""
    path = write(tmp_path / "a\x1b[31m\nb", MESSAGES)

    assert call("check", path).out.splitlines()[0].endswith("/a\\x1b[31m\\nb: whole")


@pytest.mark.parametrize("seed", range(20))
def test_cut_anywhere(seed: int, tmp_path: Path) -> None:
    """A capture that is cut anywhere is not whole: the offset is where its last frame ends."""
    stream = capture(payloads(MESSAGES))
    size = random.Random(seed).randrange(42, len(stream))
    path = tmp_path / "cut"
    path.write_bytes(stream[:size])
    frames = payloads(MESSAGES)
    ends = [len(capture(frames[:count], stop=False)) for count in range(len(frames) + 1)]
    count = sum(end <= size for end in ends) - 1

    outcome = call("check", path)

    assert outcome.status == 1
    assert f"{path}: not whole: byte {ends[count]}: " in outcome.out
    assert f"\n  {count} message" in outcome.out


def damaged(path: Path) -> Path:
    """Write two whole frames, one that is no dnstap, and a FINISH, which no file has."""
    good = payloads(MESSAGES)
    stream = capture([good[0], b"\xff", good[1]], stop=False)
    path.write_bytes(stream + control(FINISH) + data(good[2]))
    return path


def test_repair(tmp_path: Path) -> None:
    """``--repair`` saves every whole frame before the damage, also one that is no dnstap."""
    path, output = damaged(tmp_path / "1"), tmp_path / "repaired"

    outcome = call("check", path, "--repair", output)

    assert outcome.status == 1  # of what was checked; what was saved is whole
    assert f"saved 3 frames in {output}" in outcome.out
    good = payloads(MESSAGES)
    assert read_capture(output) == ([good[0], b"\xff", good[1]], True, 0)
    assert output.stat().st_mode & 0o777 & ~0o640 == 0


def test_repaired_captures_are_read_by_others(tmp_path: Path) -> None:
    """The dnstap tool and fstrm_dump read what was saved of a torn capture."""
    stream = capture(payloads(MESSAGES), stop=False)
    path, output = tmp_path / "1", tmp_path / "repaired"
    path.write_bytes(stream[:-3])

    assert call("check", path, "--repair", output).status == 1

    assert len(dnstap_json(output)) == len(MESSAGES) - 1
    assert fstrm_dump(output).control[-1] == "FSTRM_CONTROL_STOP."
    assert call("check", output).status == 0


def test_names_of_outputs_are_safe_on_a_terminal(tmp_path: Path) -> None:
    """The report names the repaired capture in one line, whatever is in its name."""
    path, output = write(tmp_path / "1", [query()]), tmp_path / "\x1b[31m\n"

    outcome = call("check", path, "--repair", output)

    assert outcome.out.endswith(f"  saved 1 frame in {tmp_path}/\\x1b[31m\\n\n")


def test_repair_of_a_whole_capture(tmp_path: Path) -> None:
    """A whole capture is saved as it is; status 0."""
    path, output = write(tmp_path / "1", MESSAGES), tmp_path / "repaired"

    assert call("check", path, "--repair", output).status == 0
    assert output.read_bytes() == path.read_bytes()


def test_repair_never_writes_over_a_file(tmp_path: Path) -> None:
    """An OUTPUT that is there is refused and left as it is, the damaged file itself too."""
    path = damaged(tmp_path / "1")
    before = path.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")

    for output in (path, link):
        outcome = call("check", path, "--repair", output)
        assert (outcome.status, outcome.out) == (2, "")
        assert f"{output}: exists already" in outcome.err
    assert path.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_nothing_to_save(tmp_path: Path) -> None:
    """Of a file that is no capture at all nothing is saved, and no OUTPUT is made."""
    path, output = tmp_path / "1", tmp_path / "repaired"
    path.write_bytes(b"GET / HTTP/1.1\r\n")

    outcome = call("check", path, "--repair", output)

    assert (outcome.status, output.exists()) == (1, False)
    assert f"{path}: not whole: byte 0: this is not Frame Streams" in outcome.out


def test_pipes(tmp_path: Path) -> None:
    """``-`` is standard input, and standard output of ``--repair``; the report gives way."""
    path = damaged(tmp_path / "1")
    output = tmp_path / "repaired"
    with path.open("rb") as stdin, output.open("wb") as stdout:
        done = subprocess.run(
            [*PROGRAM, "check", "-", "--repair", "-"],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env=with_environment(),
        )

    assert done.returncode == 1
    assert "standard input: not whole: byte" in done.stderr
    assert "saved 3 frames in standard output" in done.stderr
    assert len(read_capture(output).payloads) == 3


def test_a_full_disk_leaves_no_half_repair(tmp_path: Path) -> None:
    """Where OUTPUT cannot be written whole, it is removed; one line, status 2."""
    path, output = write(tmp_path / "1", MESSAGES * 50), tmp_path / "repaired"
    limited = ["sh", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "sh"]

    outcome = run("check", path, "--repair", output, program=[*limited, *PROGRAM])

    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"dnstap-logging check: {output}: cannot be written: File too large\n"
    assert not output.exists()
