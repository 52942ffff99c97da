"""``read --parquet`` and ``read --protobuf``: what is in the file."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapMessage
from dnstap_logging.codec.proto import Dnstap
from tests.cli.exported import FORMATS, FULL, FULL_ROW, RUN, delimited, rows
from tests.cli.running import PROGRAM, TIMEOUT, call, run
from tests.cli.samples import NOON, NS, dns_wire, payloads, query, response, write
from tests.cli.test_large import peak_memory, write_capture
from tests.helpers.programs import with_environment
from tests.helpers.support import CONTENT_TYPE, START, capture, control, data

pq = pytest.importorskip("pyarrow.parquet")


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


@pytest.mark.slow
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
