"""Bad use of commands: one line that says what is wrong, status 2, no traceback."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from typing import List

import pytest

from tests.cli.running import PROGRAM, TIMEOUT, call, run
from tests.cli.samples import query, write
from tests.helpers.programs import with_environment
from tests.helpers.support import require_program

BAD = [
    ("", "COMMAND"),
    ("frobnicate", "'frobnicate' (choose from"),
    ("--frobnicate", "COMMAND"),
    ("read", "required: FILE"),
    ("check", "required: FILE"),
    ("read FILE --frobnicate", "unrecognized arguments: --frobnicate"),
    ("check FILE --frobnicate", "unrecognized arguments: --frobnicate"),
    ("send FILE kafka://h:9092/dnstap", "kafka://h:9092/dnstap is a topic of Kafka: write unix:"),
    ("top kafka://h:9092/dnstap", "kafka://h:9092/dnstap is a topic of Kafka, which is not read"),
    ("listen kafka://h:9092/dnstap", "ADDRESS='kafka://h:9092/dnstap': brokers cannot be listened"),
    ("read NONE", "NONE: cannot be read: No such file or directory"),
    ("check NONE", "NONE: cannot be read: No such file or directory"),
    ("read FOLDER", "FOLDER: cannot be read: Is a directory"),
    ("check FOLDER", "FOLDER: cannot be read: Is a directory"),
    ("read FILE/x", "x: cannot be read: Not a directory"),
    ("read FILE --yaml --json", "--json: not allowed with argument --yaml"),
    ("read FILE --json=full --json", "not allowed with"),
    ("read FILE --json=all", "--json: ignored explicit argument 'all'"),
    ("read FILE --format", "--format: expected one argument"),
    ("read FILE --format {qname", "'{qname': expected '}'"),
    ("read FILE --format qname}", "Single '}'"),
    ("read FILE --format {}", "{} is no field; the fields are message_type"),
    ("read FILE --format {0}", "{0} is no field"),
    ("read FILE --format {query_adress}", "{query_adress} is no field"),
    ("read FILE --format {dns_qname_}", "{dns_qname_} is no field"),
    ("read FILE --format {qname.__class__}", "{qname.__class__} is no field"),
    ("read FILE --format {qname[0]}", "{qname[0]} is no field"),
    ("read FILE --format {qname:d}", "Unknown format code 'd'"),
    ("read FILE --format {qname:{size}}", "a layout is written out"),
    ("read FILE --format {qname!x}", "Unknown conversion specifier"),
    ("read FILE --type NOTHING", "--type: 'NOTHING': no message type: such as CLIENT_QUERY"),
    ("read FILE --type CQ,,CR", "--type: '': no message type"),
    ("read FILE --type X_*", "--type: 'X_*': no message type"),
    ("read FILE --name a..b", "--name: 'a..b': a domain name has no empty label"),
    ("read FILE --name *.example", "--name: '*.example': write 'example'"),
    ("read FILE --name b\xfccher.example", "write an internationalized name as A-labels"),
    ("read FILE --client 192.0.2.256", "'192.0.2.256': must be an IP address, or a network"),
    ("read FILE --client ns1.example", "'ns1.example': must be an IP address, or a network"),
    ("read FILE --client 192.0.2.0/33", "'192.0.2.0/33': must be an IP address, or a network"),
    ("read FILE --rcode NOPE", "--rcode: 'NOPE': must be a response code: its name"),
    ("read FILE --rcode 4096", "--rcode: '4096': must be a response code"),
    ("read FILE --rcode -1", "--rcode: '-1': must be a response code"),
    ("read FILE --since yesterday", "--since: 'yesterday': a time is 2026-01-31"),
    ("read FILE --since 2026-02-30", "--since: '2026-02-30': a time is"),
    ("read FILE --since 2026-01-01T25:00", "a time is"),
    ("read FILE --until 10x", "--until: '10x': a time is"),
    ("read FILE --until 9999999999999", "--until: '9999999999999': a time is"),
    ("read --follow -", "--follow needs one file, by its name"),
    ("read --follow FILE FILE", "--follow needs one file, by its name"),
    ("read --follow FOLDER", "read: FOLDER: "),
    ("read --follow NONE", "NONE: cannot be read: No such file or directory"),
    ("check FILE FILE --repair OUT", "--repair takes one FILE"),
    ("check FILE --repair FILE", "FILE: exists already: name a new file"),
    ("check FILE --repair FOLDER", "FOLDER: exists already: name a new file"),
    ("check FILE --repair NONE/out", "NONE/out: cannot be made: No such file or directory"),
    ("check NONE --repair OUT", "NONE: cannot be read"),
    ("check FILE --repair", "--repair: expected one argument"),
    ("check FILE --json=full", "--json: ignored explicit argument 'full'"),
    ("read /proc/self/mem", "/proc/self/mem: cannot be read: Input/output error"),
    ("read FILE --format {qname:>99999}", "{qname:>99999}: a field has at most 9999 columns"),
    ("read FILE --format {qname:>99999999999999}", "a field has at most 9999 columns"),
    ("read FILE --format {qname:.\u0669\u0669\u0669\u0669\u0669}", "at most 9999 columns"),
    ("read ", "read: '': cannot be read: No such file or directory"),
    ("check ", "check: '': cannot be read: No such file or directory"),
    ("read --follow /dev/null", "read: /dev/null: follow=True needs a regular file"),
    ("read FILE --oops=\x1b[31m\n", "--oops=\\x1b[31m\\n"),
]


@pytest.mark.parametrize(("line", "text"), BAD, ids=[line or "nothing" for line, _ in BAD])
def test_bad_use(line: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake is one line on standard error that names it; status 2, nothing printed."""
    monkeypatch.chdir(tmp_path)
    write(Path("FILE"), [query()])
    Path("FOLDER").mkdir()

    outcome = call(*(line.split(" ") if line else []))

    assert outcome.status == 2, outcome
    assert outcome.out == ""
    assert text in outcome.err
    assert outcome.err.startswith("dnstap-logging")
    assert (outcome.err.count("\n"), outcome.err[-1]) == (1, "\n"), outcome.err
    assert not Path("OUT").exists()


def test_as_a_program(tmp_path: Path) -> None:
    """The program itself ends in the same way, without a traceback."""
    done = subprocess.run(
        [*PROGRAM, "read", tmp_path / "none"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env=with_environment(),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"dnstap-logging read: {tmp_path / 'none'}: cannot be read: No such file or directory\n"
    )


def test_unreadable(tmp_path: Path) -> None:
    """The error says that a file may not be read."""
    path = write(tmp_path / "1", [query()])
    path.chmod(0)
    # root may read everything, unless it gives that up
    without = "--bounding-set=-dac_override,-dac_read_search"
    program = [require_program("setpriv"), without] if os.getuid() == 0 else []

    assert run("read", path, program=[*program, *PROGRAM]) == (
        2,
        "",
        f"dnstap-logging read: {path}: cannot be read: Permission denied\n",
    )


@pytest.mark.parametrize("command", [["read", "-"], ["check", "-"]])
def test_a_terminal_is_no_capture(command: List[str]) -> None:
    """With a terminal as standard input the command does not wait for somebody to type dnstap."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*PROGRAM, *command],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=with_environment(),
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input is a terminal" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["read", "check"])
def test_help(command: str) -> None:
    """``--help`` shows the arguments and ends with status 0."""
    outcome = call(command, "--help")

    assert (outcome.status, outcome.err) == (0, "")
    assert "FILE" in outcome.out
