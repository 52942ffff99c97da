"""``dnstap-logging read``: its inputs, its ends, and what it says of damaged captures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict, List

import pytest

from tests.cli.running import PROGRAM, TIMEOUT, WITHOUT_DNSPYTHON, call, run
from tests.cli.samples import payloads, query, response, write
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, capture, control, data, wait_until

LINE = '12:00:00.000000 CQ 192.0.2.1 UDP 33b "www.example.org." IN A\n'
NEXT_LINE = '12:00:01.000000 CR 192.0.2.1 UDP 33b "www.example.org." IN A\n'


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have child processes show times in UTC."""
    monkeypatch.setenv("TZ", "UTC")


def test_several_files(tmp_path: Path) -> None:
    """Files are read one after the other, in the order in which they are named."""
    first, second = write(tmp_path / "1", [query()]), write(tmp_path / "2", [response(1)])

    assert run("read", second, first) == (0, NEXT_LINE + LINE, "")


def test_standard_input(tmp_path: Path) -> None:
    """``-`` is standard input, also among files."""
    path = write(tmp_path / "1", [response(1)])
    stdin = capture(payloads([query()]))

    assert run("read", "-", path, stdin=stdin) == (0, LINE + NEXT_LINE, "")


def test_time_is_local(tmp_path: Path) -> None:
    """Times in lines are local, as the dnstap tool shows them; in JSON and YAML they are UTC."""
    path = write(tmp_path / "1", [query()])

    assert run("read", path, TZ="Asia/Tokyo").out.startswith("21:00:00.000000 CQ")
    assert "T12:00:00Z" in run("read", "--json", path, TZ="Asia/Tokyo").out


@pytest.mark.parametrize("cut", [1, 3, 9, 20])
def test_torn(cut: int, tmp_path: Path) -> None:
    """Of a capture that is cut, what is whole is printed; status 1, and a line says where it is."""
    whole = capture(payloads([query(), response(1)]), stop=False)
    last = len(whole) - len(data(payloads([response(1)])[0]))
    path = tmp_path / "torn"
    path.write_bytes(whole[: last + cut])

    outcome = run("read", path)

    assert (outcome.status, outcome.out) == (1, LINE)
    assert outcome.err == (
        f"dnstap-logging read: {path}: byte {last}: the file ends inside a frame: "
        f"{cut} bytes of it are there\n"
    )


def test_without_stop(tmp_path: Path) -> None:
    """A capture that ends between two frames without STOP may have lost some: status 1, too."""
    path = write(tmp_path / "1", [query()], stop=False)

    outcome = run("read", path)

    assert (outcome.status, outcome.out) == (1, LINE)
    assert f"{path}: byte {path.stat().st_size}: no STOP there" in outcome.err


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    """Where frames are damaged, what came before is printed, and the next file is read."""
    start = control(START, CONTENT_TYPE)
    whole = start + data(payloads([query()])[0])
    broken = tmp_path / "broken"
    broken.write_bytes(whole + control(START, CONTENT_TYPE) + data(payloads([query()])[0]))
    other = write(tmp_path / "other", [response(1)])

    outcome = run("read", broken, other)

    assert (outcome.status, outcome.out) == (1, LINE + NEXT_LINE)
    assert f"{broken}: byte {len(whole)}: " in outcome.err
    assert outcome.err.count("\n") == 1


def test_payloads_that_are_no_dnstap(tmp_path: Path) -> None:
    """Frames that hold something else are skipped; those after them are printed."""
    good = payloads([query(), response(1)])
    path = tmp_path / "1"
    path.write_bytes(capture([good[0], b"\xff\xff", b"nothing", good[1]]))
    offset = len(capture(good[:1], stop=False))

    outcome = run("read", path)

    assert (outcome.status, outcome.out) == (1, LINE + NEXT_LINE)
    assert f"{path}: byte {offset}: not a Dnstap payload" in outcome.err
    assert outcome.err.endswith("(and 1 more frame like it)\n")
    assert outcome.err.count("\n") == 1


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """When the reader of the pipe ends, so does the command: by SIGPIPE, and it prints nothing."""
    path = write(tmp_path / "1", [query()] * 20_000)
    with subprocess.Popen(
        [*PROGRAM, "read", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=with_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == LINE.encode()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == -signal.SIGPIPE


def test_messages_of_a_pipe_come_as_they_arrive() -> None:
    """What comes through a pipe is printed at once, not when the pipe ends."""
    stream = capture(payloads([query(), response(1)]))
    half = len(capture(payloads([query()]), stop=False))
    with subprocess.Popen(
        [*PROGRAM, "read", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=with_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(stream[:half])
        process.stdin.flush()
        assert process.stdout.readline() == LINE.encode()
        process.stdin.write(stream[half:])
        process.stdin.close()
        assert process.stdout.read() == NEXT_LINE.encode()
        assert process.wait(TIMEOUT) == 0


def test_follow(tmp_path: Path) -> None:
    """``--follow`` prints what is written later, and ends on SIGINT."""
    path = write(tmp_path / "1", [query()], stop=False)
    lines: List[bytes] = []
    with subprocess.Popen(
        [*PROGRAM, "read", "--follow", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=with_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        thread = threading.Thread(target=lines.extend, args=(process.stdout,))
        thread.start()
        wait_until(lambda: lines == [LINE.encode()], "the first line")
        with path.open("ab") as file:
            file.write(data(payloads([response(1)])[0]))
        wait_until(lambda: len(lines) == 2, "the line that was written later")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 128 + signal.SIGINT
        thread.join(TIMEOUT)
        assert process.stderr.read() == b""
    assert lines[1] == NEXT_LINE.encode()


def test_full_json(tmp_path: Path) -> None:
    """``--json=full`` adds extra, policy and http_protocol to the keys of ``--json``."""
    policy = {"type": "RPZ", "rule": "bad.example", "action": "DROP", "match": "QNAME"}
    message = query(
        socket_protocol="DOH",
        http_protocol="HTTP2",
        extra="customer \N{SNOWMAN}",
        policy={**policy, "value": b"\3bad\7example\0"},
    )
    path = write(tmp_path / "1", [message])

    plain = json.loads(call("read", "--json", path).out)
    full = json.loads(call("read", "--json=full", path).out)

    assert full.pop("extra") == "customer \N{SNOWMAN}"
    assert full["message"].pop("http_protocol") == "HTTP2"
    assert full["message"].pop("policy") == {
        **policy,
        "rule": "bad.example.",
        "value": "bad.example.",
    }
    assert full == plain


def test_unknown_family_and_protocol(tmp_path: Path) -> None:
    """The tool's ``<nil>`` for what is unknown is in ``--json``, but not in ``--json=full``."""
    path = write(tmp_path / "1", [query(query_address=None, socket_protocol=None)])

    plain = json.loads(call("read", "--json", path).out)["message"]
    full = json.loads(call("read", "--json=full", path).out)["message"]

    assert plain["socket_family"] == plain["socket_protocol"] == "<nil>"
    assert not {"socket_family", "socket_protocol"} & set(full)


@pytest.mark.parametrize("option", ["--json", "--yaml"])
def test_without_dnspython(option: str, real_captures: Dict[str, Path]) -> None:
    """Without dnspython the question is still shown, and a line says what is missing."""
    path = real_captures["knotd"]

    shown = run("read", option, path, program=WITHOUT_DNSPYTHON)

    assert (shown.status, shown.err) == (0, "")
    assert ";www.example.org." in shown.out
    assert "record not shown: install dnspython" in shown.out
    assert "2001:db8::2" not in shown.out
    assert run("read", path, program=WITHOUT_DNSPYTHON) == run("read", path)


def test_names_of_files_are_safe_on_a_terminal(tmp_path: Path) -> None:
    """No control character of a file's name gets into an error."""
    path = tmp_path / "a\x1b[31m\nb"
    path.write_bytes(b"nothing")

    outcome = run("read", path)

    assert outcome.status == 1
    assert "a\\x1b[31m\\nb: byte 0: this is not Frame Streams" in outcome.err
    assert outcome.err.count("\n") == 1


def test_any_encoding(tmp_path: Path) -> None:
    """Text that the environment's encoding lacks is escaped, and no reason to end."""
    path = write(tmp_path / "1", [query(identity="\N{SNOWMAN}")])

    outcome = run("read", "--yaml", path, PYTHONIOENCODING="ascii")

    assert (outcome.status, outcome.err) == (0, "")
    assert 'identity: "\\u2603"' in outcome.out


@pytest.mark.parametrize(
    ("closed", "text"), [("<&-", "standard input is closed"), (">&-", "standard output is closed")]
)
def test_closed_from_the_start(closed: str, text: str) -> None:
    """If the parent has closed standard input or output, one line says so; status 2."""
    command = f'exec "$0" -m dnstap_logging read - {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env=with_environment(),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
