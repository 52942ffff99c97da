"""``read --parquet`` and ``read --protobuf``: when there is a file, when there is none, and why."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.cli.exported import FORMATS, delimited
from tests.cli.running import PROGRAM, TIMEOUT, call, run
from tests.cli.samples import payloads, query, write
from tests.cli.test_large import write_capture
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, capture, control, data, wait_until

pq = pytest.importorskip("pyarrow.parquet")


def left(folder: Path) -> List[str]:
    """Return what is in a folder besides the captures."""
    return sorted(path.name for path in folder.iterdir() if path.name != "in")


BAD_INPUT = {
    "not a capture": (b"hello\n", 1, "this is not Frame Streams"),
    "empty": (b"", 1, "the file is empty"),
    "compressed": (b"\x1f\x8b\x08\0", 1, "gzip"),
    "not there": (None, 2, "No such file or directory"),
}


@pytest.mark.parametrize("option", FORMATS)
@pytest.mark.parametrize("name", BAD_INPUT)
def test_no_capture(name: str, option: str, tmp_path: Path) -> None:
    """Where no FILE is a capture, one line says so, and there is no file."""
    octets, status, text = BAD_INPUT[name]
    if octets is not None:
        (tmp_path / "in").write_bytes(octets)
    outcome = call("read", option, tmp_path / "out", tmp_path / "in")

    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (status, "", 1)
    assert text in outcome.err
    assert left(tmp_path) == []


BAD_OUTPUT = [
    ("NONE/out", "NONE/out: cannot be made: No such file or directory"),
    ("in/out", "in/out: cannot be made: Not a directory"),
    ("in", "in: exists already: name a new file"),
    (".", ".: exists already: name a new file"),
    ("dangling", "dangling: exists already: name a new file"),
    ("", "'' names no file: name a new one, or - for standard output"),
    ("x" * 300, "x: cannot be made: File name too long"),
    ("/dev/full", "/dev/full: cannot be written: No space left on device"),
    ("/proc/out", "/proc/out: cannot be made: No such file or directory"),
]


@pytest.mark.parametrize("option", FORMATS)
@pytest.mark.parametrize(("out", "text"), BAD_OUTPUT)
def test_bad_output(
    out: str, text: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be made or written is one line, status 2, and nothing is left of it."""
    monkeypatch.chdir(tmp_path)
    before = write(tmp_path / "in", [query()]).read_bytes()
    os.symlink("nothing", "dangling")
    outcome = call("read", option, out, "in")

    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.endswith(text + "\n")
    assert outcome.err.count("\n") == 1
    assert left(tmp_path) == ["dangling"]
    assert (tmp_path / "in").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("option", FORMATS)
def test_no_permission(option: str, tmp_path: Path) -> None:
    """A folder that may not be written to is one line."""
    folder = tmp_path / "folder"
    folder.mkdir(0o500)
    outcome = call("read", option, folder / "out", write(tmp_path / "in", [query()]))

    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.endswith("out: cannot be made: Permission denied\n")


@pytest.mark.parametrize("option", FORMATS)
def test_a_disk_that_fills_up(option: str, tmp_path: Path) -> None:
    """A file that may not grow on is not there, and one line says why; status 2."""
    code = (
        "import resource, signal, sys; from dnstap_logging.cli.main import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); sys.exit(main())"
    )
    path = write(tmp_path / "in", [query(extra=os.urandom(1000)) for _ in range(1000)])
    outcome = run(
        "read", option, tmp_path / "out", path, path, program=[sys.executable, "-c", code]
    )

    assert (outcome.status, outcome.out) == (2, "")
    assert (
        outcome.err == f"dnstap-logging read: {tmp_path}/out: cannot be written: File too large\n"
    )
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ("--parquet", signal.SIGINT),
        ("--parquet", signal.SIGTERM),
        ("--protobuf", signal.SIGINT),
        ("--protobuf", signal.SIGHUP),
    ],
)
def test_ended_by_a_signal(option: str, number: signal.Signals, tmp_path: Path) -> None:
    """A command that is ended before its end leaves nothing."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with subprocess.Popen(
        [*PROGRAM, "read", option, folder / "out", "-"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=with_environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        block = b"".join(map(data, payloads([query(each) for each in range(20_000)])))
        process.stdin.write(control(START, CONTENT_TYPE) + block)  # more than a pipe holds
        assert len(list(folder.iterdir())) == 1
        assert not (folder / "out").exists()
        process.send_signal(number)
        _, said = process.communicate(timeout=TIMEOUT)

    assert process.returncode == (130 if number is signal.SIGINT else -number)
    assert said == b""
    assert list(folder.iterdir()) == []


def test_a_signal_that_is_ignored(tmp_path: Path) -> None:
    """What nohup has the program ignore does not end it."""
    with subprocess.Popen(
        [
            "sh",
            "-c",
            'trap "" HUP; exec "$0" -m dnstap_logging read --protobuf out -',
            sys.executable,
        ],
        stdin=subprocess.PIPE,
        env=with_environment(),
        cwd=tmp_path,
    ) as process:
        wait_until(lambda: list(tmp_path.iterdir()), "the file beside it")
        process.send_signal(signal.SIGHUP)
        process.communicate(capture(payloads([query()])), timeout=TIMEOUT)

    assert process.returncode == 0
    assert delimited((tmp_path / "out").read_bytes()) == payloads([query()])


@pytest.mark.parametrize("option", FORMATS)
def test_a_reader_that_goes_away(option: str, tmp_path: Path) -> None:
    """Where the reader of a pipe ends, so does the command, by SIGPIPE, and says nothing."""
    path = write_capture(tmp_path / "in", 5_000)
    with subprocess.Popen(
        [*PROGRAM, "read", option, "-", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=with_environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_file_that_appears_meanwhile(tmp_path: Path) -> None:
    """What another program has made under the name by the end is not written over."""
    with subprocess.Popen(
        [*PROGRAM, "read", "--protobuf", "out", "-"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=with_environment(), cwd=tmp_path,
    ) as process:  # fmt: skip
        wait_until(lambda: list(tmp_path.iterdir()), "the file beside it")
        (tmp_path / "out").write_bytes(b"mine")
        _, said = process.communicate(capture(payloads([query()])), timeout=TIMEOUT)

    assert (process.returncode, said) == (
        2, b"dnstap-logging read: out: exists already: name a new file\n"
    )  # fmt: skip
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    """A FIFO is written as it is, and stays."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [*PROGRAM, "read", "--protobuf", pipe, write(tmp_path / "in", [query()])],
        env=with_environment(),
    ) as process:
        assert delimited(pipe.read_bytes()) == payloads([query()])
    assert process.returncode == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)


CONFLICTS = [
    ("read in --parquet out --protobuf out2", "--protobuf: not allowed with argument --parquet"),
    ("read in --parquet out --yaml", "--yaml: not allowed with argument --parquet"),
    ("read in --protobuf out --json=full", "not allowed with argument --protobuf"),
    ("read in --parquet", "--parquet: expected one argument"),
    ("read --parquet in", "required: FILE"),
    ("read in --follow --parquet out", "--follow never ends, and a Parquet file is there at"),
    ("read in --follow --protobuf out", "--follow never ends, and OUT is there at the end"),
    ("listen unix://x --parquet out", "unrecognized arguments: --parquet"),
]


@pytest.mark.parametrize(("line", "text"), CONFLICTS)
def test_conflicts(line: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not go together is one line that names it; status 2, nothing made."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in", [query()])
    outcome = call(*line.split())

    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert text in outcome.err
    assert left(tmp_path) == []


def test_without_pyarrow(tmp_path: Path) -> None:
    """One line says what to install; all else works without it."""
    code = (
        "import sys; sys.modules['pyarrow'] = None; from dnstap_logging.cli.main import main;"
        "sys.exit(main())"
    )
    program = [sys.executable, "-c", code]
    path = write(tmp_path / "in", [query()])
    outcome = run("read", "--parquet", tmp_path / "out", path, program=program)

    said = "--parquet needs pyarrow: install it, or dnstap-logging with its extra 'arrow'"
    assert outcome == (2, "", f"dnstap-logging read: {said}\n")
    assert left(tmp_path) == []
    assert run("read", "--protobuf", tmp_path / "out", path, program=program).status == 0


def test_printing_imports_nothing_of_it(tmp_path: Path) -> None:
    """Lines need neither pyarrow nor the columns."""
    code = (
        "import sys; from dnstap_logging.cli.main import main; main();"
        "print(*[each for each in sys.modules if 'pyarrow' in each or 'columns' in each])"
    )
    path = write(tmp_path / "in", [query()])
    outcome = run("read", path, program=[sys.executable, "-c", code])

    assert outcome.out.splitlines()[1:] == [""]
