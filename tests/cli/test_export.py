"""``read --parquet`` and ``read --protobuf``: what is in the file, and when there is none."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapMessage, Policy
from dnstap_logging.codec.proto import Dnstap
from tests.cli.running import PROGRAM, TIMEOUT, call, run
from tests.cli.samples import NOON, NS, dns_wire, payloads, query, response, write
from tests.cli.test_large import peak_memory, write_capture
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, capture, control, data, wait_until

pq = pytest.importorskip("pyarrow.parquet")

RUN = "0123456789abcdef"
FORMATS = ("--parquet", "--protobuf")

FULL = DnstapMessage(
    "CLIENT_RESPONSE",
    query_time=NOON,
    response_time=NOON + 1_500_000,
    query_address="2001:db8::1",
    query_port=5353,
    response_address="2001:db8::53",
    response_port=443,
    socket_protocol="DOH",
    http_protocol="HTTP2",
    response_message=dns_wire(flags=0x8183),
    policy=Policy(type="RPZ", rule="example.org.rpz.", action="NXDOMAIN", match="QNAME"),
    extra=f"note seq={RUN}/7/2",
    identity="ns1 \N{SNOWMAN}",
    version="1.0",
)
FULL_ROW = {
    "identity": "ns1 \N{SNOWMAN}",
    "version": "1.0",
    "type": "CLIENT_RESPONSE",
    "client": "2001:db8::1",
    "client_port": 5353,
    "server": "2001:db8::53",
    "server_port": 443,
    "family": "INET6",
    "protocol": "DOH",
    "http": "HTTP2",
    "id": 1,
    "opcode": "QUERY",
    "qname": "www.example.org.",
    "qclass": "IN",
    "qtype": "A",
    "rcode": "NXDOMAIN",
    "flags": "qr rd ra",
    "answers": 0,
    "size": 33,
    "edns": None,
    "latency_ns": 1_500_000,
    "policy": {
        "type": "RPZ", "rule": "example.org.rpz.", "action": "NXDOMAIN", "match": "QNAME",
        "value": None,
    },
    "extra": f"note seq={RUN}/7/2",
    "sequence": {"run": RUN, "number": 7, "dropped": 2},
}  # fmt: skip


def rows(path: Path) -> List[Dict[str, Any]]:
    """Return the rows of a Parquet file; times as nanoseconds."""
    table = pq.read_table(path)
    table = table.set_column(0, "time", table["time"].cast("int64"))
    found: List[Dict[str, Any]] = table.to_pylist()
    return found


def delimited(octets: bytes) -> List[bytes]:
    """Take messages with lengths apart, by protobuf's rule alone."""
    found, place = [], 0
    while place < len(octets):
        length = shift = 0
        while True:
            octet = octets[place]
            place += 1
            length |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        found.append(octets[place : place + length])
        place += length
    assert place == len(octets)
    return found


def parquet(folder: Path, *arguments: Any) -> List[Dict[str, Any]]:
    """Write a file; return its rows."""
    out = folder / "out"
    assert call("read", "--parquet", out, *arguments) == (0, "", "")
    found = rows(out)
    out.unlink()
    return found


def test_every_column(tmp_path: Path) -> None:
    """A message that has everything fills every column, in the order of the columns."""
    (row,) = parquet(tmp_path, write(tmp_path / "in", [FULL]))

    assert list(row) == ["time", *FULL_ROW]
    assert row == {"time": NOON + 1_500_000, **FULL_ROW}


def test_a_message_with_nothing(tmp_path: Path) -> None:
    """Of a message that has nothing but its type, all else is NULL."""
    (row,) = parquet(tmp_path, write(tmp_path / "in", [DnstapMessage("STUB_QUERY")]))

    assert {name: value for name, value in row.items() if value is not None} == {
        "type": "STUB_QUERY"
    }


def test_what_cannot_be_decoded(tmp_path: Path) -> None:
    """Malformed DNS is NULL, and what else the message says is there."""
    bad = FULL._replace(response_message=b"\0\1\x81")
    (row,) = parquet(tmp_path, write(tmp_path / "in", [bad]))

    content = ("opcode", "qname", "qclass", "qtype", "rcode", "flags", "answers", "edns")
    expected = {**FULL_ROW, "id": 1, "size": 3, **dict.fromkeys(content)}
    assert row == {"time": NOON + 1_500_000, **expected}


def test_values_that_no_column_can_hold(tmp_path: Path) -> None:
    """What is beyond a column is NULL; an empty text is none, and bad UTF-8 is U+FFFD."""
    far = query(query_time=9_300_000_000 * NS, identity=b"", extra=b"\xffx\0")
    odd = response(query_time=NOON + 1, response_time=NOON)
    late, early = parquet(tmp_path, write(tmp_path / "in", [far, odd]))

    assert (late["time"], late["identity"], late["extra"]) == (None, None, "\ufffdx\0")
    assert early["latency_ns"] == -1


def test_the_own_side(tmp_path: Path) -> None:
    """Time and DNS message are those of the own side, else of the other; as `read` chooses."""
    both = {
        "query_time": NOON, "response_time": NOON + 5, "response_message": dns_wire(flags=0x8183),
        "query_message": dns_wire(b"\0"),
    }  # fmt: skip
    asked, answered, other, alone = parquet(
        tmp_path,
        write(
            tmp_path / "in",
            [
                query(**both),
                response(**both),
                query(query_time=None, response_time=NOON, query_message=None,
                      response_message=dns_wire(flags=0x8182)),
                response(response_message=None, query_message=dns_wire(b"\0")),
            ],
        ),
    )  # fmt: skip

    keys = ("time", "qname", "rcode", "latency_ns")
    assert [asked[key] for key in keys] == [NOON, ".", "NXDOMAIN", None]
    assert [answered[key] for key in keys] == [NOON + 5, "www.example.org.", "NXDOMAIN", 5]
    assert [other[key] for key in keys] == [NOON, "www.example.org.", "SERVFAIL", None]
    assert [alone[key] for key in keys] == [NOON, ".", None, None]


def test_the_content_of_an_address_and_enumerators(tmp_path: Path) -> None:
    """An IPv4 address inside IPv6 is itself, and later enumerators have their numbers."""
    dnstap = Dnstap.FromString(payloads([query(query_address="2001:db8::1")])[0])
    dnstap.message.query_address = bytes(10) + b"\xff\xff\xc0\0\2\1"
    late = dnstap.SerializeToString().replace(b"\x08\x05\x10", b"\x08\x7f\x10")
    path = tmp_path / "in"
    path.write_bytes(capture([late]))
    (row,) = parquet(tmp_path, path)

    assert (row["type"], row["client"], row["family"]) == ("TYPE127", "192.0.2.1", "INET6")


SHOWN = {
    "message_type": "type", "query_address": "client", "query_port": "client_port",
    "response_address": "server", "response_port": "server_port", "socket_family": "family",
    "socket_protocol": "protocol", "http_protocol": "http", "identity": "identity",
    "version": "version", "extra": "extra", "id": "id", "qname": "qname", "qclass": "qclass",
    "qtype": "qtype", "rcode": "rcode",
}  # fmt: skip
"""What a template calls the columns."""


@pytest.mark.parametrize("program", ["kdig", "knotd", "dnsdist", "own"])
def test_messages_of_real_programs(
    program: str, real_captures: Dict[str, Path], tmp_path: Path
) -> None:
    """The columns say what `read --format` shows, message by message."""
    template = "\t".join(f"{{{name}}}" for name in SHOWN)
    lines = call("read", "--format", template, real_captures[program]).out.splitlines()
    found = parquet(tmp_path, real_captures[program])

    expected = [dict(zip(SHOWN.values(), line.split("\t"))) for line in lines]
    assert [
        {name: "-" if row[name] is None else str(row[name]) for name in SHOWN.values()}
        for row in found
    ] == expected
    assert found


def test_many_files_and_row_groups(tmp_path: Path) -> None:
    """Rows are in the order of the captures, over batches and row groups."""
    count = 70_000
    path = write_capture(tmp_path / "in", count)
    assert call("read", "--parquet", tmp_path / "out", path, path) == (0, "", "")

    file = pq.ParquetFile(tmp_path / "out")
    groups = [file.metadata.row_group(each) for each in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [131_072, 2 * count - 131_072]
    assert {group.column(0).compression for group in groups} == {"ZSTD"}
    names = file.read(columns=["qname"])["qname"].to_pylist()
    expected = [f"name{number // 2:04d}.example." for number in range(1000)]
    assert names == expected * (2 * count // len(expected))


def test_protobuf(tmp_path: Path) -> None:
    """Each payload is there byte for byte, after its length."""
    long = query(extra="x" * 300)
    wanted = payloads([query(), long, response(1)])
    path = tmp_path / "in"
    path.write_bytes(capture(wanted))

    assert call("read", "--protobuf", tmp_path / "out", path, path) == (0, "", "")
    assert delimited((tmp_path / "out").read_bytes()) == 2 * wanted


@pytest.mark.parametrize("option", FORMATS)
def test_filters_and_distinct(option: str, tmp_path: Path) -> None:
    """Only what the filters choose is written, and doubles are left out."""
    messages = [query(number, extra=f"seq={RUN}/{number % 3 + 1}/0") for number in range(6)]
    path = write(tmp_path / "in", [*messages, response(9)])
    arguments = ("--distinct", "--type", "CQ", "--since", "2026-01-01T12:00:02Z")
    assert call("read", option, tmp_path / "out", *arguments, path) == (0, "", "")

    if option == "--protobuf":
        assert delimited((tmp_path / "out").read_bytes()) == payloads(messages[2:5])
    else:
        found = [row["time"] for row in rows(tmp_path / "out")]
        assert found == [NOON + number * NS for number in (2, 3, 4)]


@pytest.mark.parametrize("option", FORMATS)
def test_standard_output(option: str, tmp_path: Path) -> None:
    """``-`` is standard output: the same octets as in a file."""
    path = write(tmp_path / "in", [query(), FULL])
    assert call("read", option, tmp_path / "out", path).status == 0
    done = subprocess.run(
        [*PROGRAM, "read", option, "-", "-"],
        input=path.read_bytes(), capture_output=True, check=False, timeout=TIMEOUT,
        env=with_environment(),
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (tmp_path / "out").read_bytes()


def test_protobuf_while_following(tmp_path: Path) -> None:
    """On standard output, messages come while the capture is written."""
    path = tmp_path / "in"
    path.write_bytes(capture(payloads([query()]), stop=False))
    with subprocess.Popen(
        [*PROGRAM, "read", "--protobuf", "-", "--follow", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=with_environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for message in (query(), response(1)):
            (payload,) = payloads([message])
            assert process.stdout.read(len(payload) + 1) == bytes((len(payload),)) + payload
            with path.open("ab") as file:
                file.write(data(payloads([response(1)])[0]))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130


@pytest.mark.parametrize("option", FORMATS)
def test_an_empty_capture(option: str, tmp_path: Path) -> None:
    """A capture without messages makes a file without rows, with all columns."""
    assert call("read", option, tmp_path / "out", write(tmp_path / "in", [])) == (0, "", "")

    if option == "--parquet":
        table = pq.read_table(tmp_path / "out")
        assert (table.num_rows, table.column_names) == (0, ["time", *FULL_ROW])
    else:
        assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.parametrize("option", FORMATS)
def test_damage(option: str, tmp_path: Path) -> None:
    """What is whole is written; what is not is reported as `read` does, with its status."""
    torn = tmp_path / "torn"
    good = payloads([query(), response(1)])
    torn.write_bytes(capture([good[0], b"\xff", good[1]], stop=False) + b"\0\0\0\x10")
    lines = call("read", torn)
    outcome = call(
        "read", option, tmp_path / "out", torn, tmp_path / "none", write(tmp_path / "1", [query()])
    )

    assert outcome.status == 2
    assert outcome.out == ""
    missing = f"dnstap-logging read: {tmp_path}/none: cannot be read: No such file or directory\n"
    assert outcome.err == lines.err + missing
    if option == "--parquet":
        assert [row["type"] for row in rows(tmp_path / "out")] == [
            "CLIENT_QUERY", "CLIENT_RESPONSE", "CLIENT_QUERY",
        ]  # fmt: skip
    else:
        assert delimited((tmp_path / "out").read_bytes()) == [*good, good[0]]


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


@pytest.mark.parametrize("option", FORMATS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
    path = write_capture(tmp_path / "in", 50_000)
    with subprocess.Popen(
        [*PROGRAM, "read", option, "-", path, path, path],
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


def test_without_dnspython(tmp_path: Path) -> None:
    """The columns are the same where dnspython is not installed."""
    code = (
        "import sys; sys.modules['dns'] = None; from dnstap_logging.cli.main import main;"
        "sys.exit(main())"
    )
    path = write(tmp_path / "in", [query(), FULL])
    outcome = run("read", "--parquet", tmp_path / "out", path, program=[sys.executable, "-c", code])

    assert outcome == (0, "", "")
    assert rows(tmp_path / "out") == parquet(tmp_path / "..", path)


def test_printing_imports_nothing_of_it(tmp_path: Path) -> None:
    """Lines need neither pyarrow nor the columns."""
    code = (
        "import sys; from dnstap_logging.cli.main import main; main();"
        "print(*[each for each in sys.modules if 'pyarrow' in each or 'columns' in each])"
    )
    path = write(tmp_path / "in", [query()])
    outcome = run("read", path, program=[sys.executable, "-c", code])

    assert outcome.out.splitlines()[1:] == [""]


FEW, MANY = 150_000, 450_000
MORE_MEMORY = {"--parquet": 24 * 1024, "--protobuf": 6 * 1024}
"""KiB that the peaks may differ by; the larger capture has 40 MiB more."""


@pytest.mark.slow
@pytest.mark.parametrize("option", FORMATS)
def test_constant_memory(option: str, tmp_path: Path) -> None:
    """Three times as many messages take the same memory, and so do long ones."""
    peaks = []
    for count in (FEW, MANY):
        path = write_capture(tmp_path / "in", count)
        peaks.append(peak_memory("read", option, str(tmp_path / f"{count}"), str(path)))
    assert peaks[1] - peaks[0] < MORE_MEMORY[option], peaks


def test_the_memory_of_long_messages(tmp_path: Path) -> None:
    """What long messages take is bounded too: they are written before there are many rows."""
    long = data(payloads([query(extra=b"x" * 60_000)])[0])
    with (tmp_path / "in").open("wb") as file:
        file.write(control(START, CONTENT_TYPE))
        for _ in range(2_500):  # 150 MB, which zstd makes into little
            file.write(long)
        file.write(capture([])[len(control(START, CONTENT_TYPE)) :])
    small = write(tmp_path / "small", [query()])
    less = peak_memory("read", "--parquet", str(tmp_path / "1"), str(small))
    more = peak_memory("read", "--parquet", str(tmp_path / "2"), str(tmp_path / "in"))

    assert more - less < 110 * 1024, f"{less} KiB, {more} KiB"
    assert Counter(pq.read_table(tmp_path / "2", columns=["type"])["type"].to_pylist()) == {
        "CLIENT_QUERY": 2_500
    }
