"""The README keeps its word: its examples run, and its tables say what the code says."""

from __future__ import annotations

import inspect
import operator
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set

import pytest
import trustme

import dnstap_logging
import dnstap_logging.text
from dnstap_logging import (
    DnstapMessage,
    DnstapReader,
    DnstapReceiver,
    MessageType,
    Policy,
    SocketProtocol,
)
from dnstap_logging.address import parse_address
from dnstap_logging.framestream.state import SENT_BY, TRANSITIONS
from dnstap_logging.receiver import ReceiverStats
from dnstap_logging.stats import CAUSES
from tests.pages import REPOSITORY, names, rows_of
from tests.support import require_program, wait_until
from tests.test_layers import FLOOR

# The other pages are run by the tests of what they are about.
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "architecture.md")
DEADLINE = 60  # seconds for a program: generous, since nothing here is a matter of speed
SOCKET = "unix:///run/dnstap.sock"  # the address that stands in the examples for the user's own
TLS_HOST = "collector.example.net:6000"
CA_FILE = "/etc/dns/collector-ca.pem"

SECTION = re.compile(r"^## +(.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LOG_ONE = """
logging.getLogger("dns").info("query", extra={
    "dns_message_type": "CLIENT_QUERY", "dns_query_port": 4711
})
"""


# -- reading the pages -----------------------------------------------------------------------------


class Block(NamedTuple):
    """A block of code: the page, the section and its number among those of its language there."""

    page: str
    section: str
    language: str
    number: int

    def __str__(self) -> str:
        return f"{self.page}: {self.section}, {self.language} block {self.number}"


def sections(page: Path) -> Dict[str, str]:
    """Return the text of each section of a page, by its heading."""
    _, *parts = SECTION.split(page.read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2]))


def blocks() -> Dict[Block, str]:
    """Return all blocks of code of all pages."""
    found: Dict[Block, str] = {}
    for page in PAGES:
        for section, text in sections(page).items():
            for language, code in FENCE.findall(text):
                block = Block(page.name, section, language, 0)
                while block in found:
                    block = block._replace(number=block.number + 1)
                found[block] = code
    return found


BLOCKS = blocks()
README = sections(REPOSITORY / "README.md")
run_for_real: Set[Block] = set()


def code_of(section: str, number: int = 0, language: str = "python") -> str:
    """Return a block of the README, and note that a test runs it."""
    block = Block("README.md", section, language, number)
    run_for_real.add(block)
    return BLOCKS[block]


def table(section: str, first_heading: str) -> List[List[str]]:
    """Return the rows of the table of a section of the README with this heading."""
    return rows_of(README[section], first_heading)


# -- running its examples --------------------------------------------------------------------------

QUICK_START = code_of("Quick start")
FILE_CONFIG_INI = code_of("Quick start", language="ini")
TYPED = code_of("Quick start", 1)
FILE_CONFIG = code_of("Quick start", 2)
IN_CODE = code_of("Quick start", 3)
EXTRAS = code_of("What to log: the dns extras")
TLS = code_of("Addresses")
STATISTICS = code_of("Statistics")
READING = code_of("Reading captures")
FOLLOWING = code_of("Reading captures", 1)
COLLECTOR = code_of("A small collector")
SIGNALS = code_of("Processes")


class Collector(NamedTuple):
    """A receiver that stands where the examples send to."""

    receiver: DnstapReceiver
    messages: List[DnstapMessage]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Collect on a unix socket."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/dnstap.sock", messages.append) as receiver:
        yield Collector(receiver, messages)


def start(folder: Path, code: str) -> subprocess.Popen[str]:
    """Start code of the README as a program in this folder, warnings as errors."""
    program = folder / "example.py"
    program.write_text(code.replace(SOCKET, f"unix://{folder}/dnstap.sock"), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, code: str) -> str:
    """Run it to its end, which must be a good one and a silent one; return what it printed."""
    with start(folder, code) as process:
        try:
            output, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, ""), said
    return output


def test_every_python_example_is_run() -> None:
    """No page has a Python example that no test of this file runs."""
    python = {block for block in BLOCKS if block.language == "python"}

    assert python
    assert python <= run_for_real, f"not run: {[str(block) for block in python - run_for_real]}"


def test_quick_start_delivers(tmp_path: Path, collector: Collector) -> None:
    """The quick start, as it stands there, brings a query and its response to the collector."""
    run(tmp_path, QUICK_START)

    query, response = collector.messages
    assert query.message_type is MessageType.CLIENT_QUERY
    assert response.message_type is MessageType.CLIENT_RESPONSE
    assert query.query_message is not None
    assert response.response_message is not None
    assert response.response_message[4:] == query.query_message[4:]
    for message in collector.messages:
        assert message.identity == b"ns1.example.net"
        assert message.socket_protocol is SocketProtocol.UDP
        assert (str(message.query_ip), message.query_port) == ("192.0.2.1", 5353)
        assert (str(message.response_ip), message.response_port) == ("192.0.2.53", 53)
    wait_until(lambda: collector.receiver.stats().finished == 1, "the receiver to count the end")


def test_the_typed_way_delivers_the_same(tmp_path: Path, collector: Collector) -> None:
    """What the adapter sends equals what the plain extras send, but for the times."""
    run(tmp_path, QUICK_START + TYPED)

    assert len(collector.messages) == 4
    plain, typed = collector.messages[:2], collector.messages[2:]
    timeless = {"query_time": None, "response_time": None}
    assert [message._replace(**timeless) for message in typed] == [
        message._replace(**timeless) for message in plain
    ]
    assert typed[0].query_time == typed[1].query_time


def test_file_config_delivers(tmp_path: Path, collector: Collector) -> None:
    """The same handler, from the ini file of the README."""
    ini = FILE_CONFIG_INI.replace(SOCKET, f"unix://{tmp_path}/dnstap.sock")
    (tmp_path / "logging.ini").write_text(ini, encoding="utf-8")

    run(tmp_path, FILE_CONFIG + LOG_ONE)

    (message,) = collector.messages
    assert (message.query_port, message.identity) == (4711, b"ns1.example.net")


def test_handler_made_in_code_delivers(tmp_path: Path, collector: Collector) -> None:
    """The same handler, attached by hand."""
    run(tmp_path, IN_CODE + LOG_ONE)

    (message,) = collector.messages
    assert (message.query_port, message.identity) == (4711, b"ns1.example.net")


def test_extras_example_delivers(tmp_path: Path, collector: Collector) -> None:
    """The third record of the continued quick start has a policy and a note."""
    run(tmp_path, QUICK_START + EXTRAS)

    assert len(collector.messages) == 3
    blocked = collector.messages[-1]
    assert blocked.extra == b"customer 17"
    rule = b"\x03bad\x07example\x03net\0"
    assert blocked.policy == Policy(type="RPZ", rule=rule, action="NXDOMAIN", match="QNAME")
    assert (str(blocked.query_ip), blocked.query_port) == ("2001:db8::1", 40000)
    assert blocked.socket_protocol is SocketProtocol.DOT
    assert blocked.query_time is not None


def test_tls_example_delivers(tmp_path: Path) -> None:
    """The handler for TLS reaches a collector whose certificate its own authority has signed."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    messages: List[DnstapMessage] = []

    with DnstapReceiver("tls://127.0.0.1:0", messages.append, ssl_context=context) as receiver:
        code = TLS.replace(TLS_HOST, f"localhost:{receiver.address.port}")
        code = code.replace(CA_FILE, str(tmp_path / "ca.pem"))
        attach = "\nimport logging\nlogger = logging.getLogger('dns')\n"
        attach += "logger.addHandler(handler)\nlogger.setLevel(logging.INFO)\n"
        run(tmp_path, code + attach + LOG_ONE)

    assert [message.query_port for message in messages] == [4711]


def test_statistics_example_balances(tmp_path: Path, collector: Collector) -> None:
    """The equation of the README is checked by its own example, and two records were written."""
    output = run(tmp_path, QUICK_START + STATISTICS)

    causes = dict.fromkeys(CAUSES, 0)
    assert output == f"2 of 2 written, dropped: {causes}\n"
    assert len(collector.messages) == 2


def write_capture(path: Path, stop: bool = True) -> None:
    """Write a capture of the quick start's two messages."""
    code = QUICK_START.replace(SOCKET, str(path))
    run(path.parent, code)
    if not stop:
        path.write_bytes(path.read_bytes()[:-12])  # escape, length and type of STOP


@pytest.mark.parametrize("whole", [True, False])
def test_reading_example_reads(tmp_path: Path, whole: bool) -> None:
    """The reader's example prints every message of a capture, and whether it was ended."""
    write_capture(tmp_path / "dns.fstrm", stop=whole)

    lines = run(tmp_path, READING).splitlines()

    end = "whole" if whole else "the writer did not end it"
    assert lines == ["CLIENT_QUERY 192.0.2.1 29", "CLIENT_RESPONSE 192.0.2.1 0", end]


def test_following_example_follows(tmp_path: Path) -> None:
    """The follower prints what is written when it is written, into a pipe too; SIGTERM ends it."""
    write_capture(tmp_path / "dns.fstrm")
    with start(tmp_path, FOLLOWING) as process:
        try:
            assert process.stdout is not None
            before = [process.stdout.readline() for _ in range(2)]
            write_capture(tmp_path / "dns.fstrm")  # mode="a": behind what is there
            after = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGTERM)
            rest, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, rest, said) == (0, "", "")
    assert before == after == ["CLIENT_QUERY 192.0.2.1\n", "CLIENT_RESPONSE 192.0.2.1\n"]


SHELL_LINES = code_of("Reading captures", language="sh").splitlines()


@pytest.mark.parametrize("line", SHELL_LINES)
def test_reading_commands_read(tmp_path: Path, line: str) -> None:
    """Every command of the section on reading captures shows the messages of one of ours."""
    program, *arguments = shlex.split(line, comments=True)
    ours = program == "dnstap-logging"
    command = [sys.executable, "-m", "dnstap_logging"] if ours else [require_program(program)]
    write_capture(tmp_path / "dns.fstrm")

    done = subprocess.run(
        [*command, *arguments], cwd=tmp_path, capture_output=True, timeout=DEADLINE, check=False
    )

    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    mark = {"fstrm_dump": b"Data frame", "check": b"  CLIENT_"}
    shown = mark.get(program) or mark.get(arguments[0], b"192.0.2.1")
    assert output.count(shown) >= 2, output


def test_collector_example_collects(tmp_path: Path) -> None:
    """The small collector prints a line for each message, and its counters at the end."""
    with start(tmp_path, COLLECTOR) as process:
        try:
            wait_until((tmp_path / "dnstap.sock").exists, "the collector's socket")
            sender = tmp_path / "sender"
            sender.mkdir()
            run(sender, QUICK_START.replace(SOCKET, f"unix://{tmp_path}/dnstap.sock"))
            output, said = process.communicate("\n", timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, ""), said
    prompt, query, response, stats = output.splitlines()
    assert prompt == f"collecting on unix://{tmp_path}/dnstap.sock; press Enter to end"
    assert " CQ 192.0.2.1:5353 -> 192.0.2.53:53 UDP 29b " in query
    assert " CR 192.0.2.1:5353 <- 192.0.2.53:53 UDP 29b " in response
    assert stats.startswith("ReceiverStats(connections=1, active=0, finished=1,")
    assert "messages=2" in stats


def test_signals_example_reopens_and_ends(tmp_path: Path, collector: Collector) -> None:
    """With the README's handlers SIGHUP begins a new session and SIGTERM loses nothing."""
    # Not signal.pause(): a signal that came just before it would wait there for the next one.
    wait = "\nhandler.flush()\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.1)\n"
    wait = "\nimport time\n" + wait
    with start(tmp_path, QUICK_START + SIGNALS + wait) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGHUP)
            stats = collector.receiver.stats
            wait_until(lambda: stats().finished == 1 and stats().connections == 2, "a new session")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, said) == (0, ""), said
    wait_until(lambda: stats().finished == 2, "the second session's STOP")
    assert len(collector.messages) == 2


FORK = """
import os
handler = logging.getLogger("dns").handlers[0]
handler.flush()
child = os.fork()
logging.getLogger("dns").info("query", extra={"dns_message_type": "TOOL_QUERY"})
logging.shutdown()
if not child:
    os._exit(0)
os.waitpid(child, 0)
print(child)
"""


def test_forked_child_has_the_file_of_its_own_that_the_readme_names(tmp_path: Path) -> None:
    """dns.<pid>.fstrm beside dns.fstrm: each a whole stream of its own process's records."""
    assert "`dns.<pid>.fstrm` beside `dns.fstrm`" in README["Processes"]
    ignore = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
    child = run(tmp_path, ignore + QUICK_START.replace(SOCKET, "dns.fstrm") + FORK).strip()

    for name, number in (("dns.fstrm", 3), (f"dns.{child}.fstrm", 1)):
        with DnstapReader(tmp_path / name) as reader:
            assert len(list(reader)) == number, name
            assert reader.complete, name


# -- comparing its tables --------------------------------------------------------------------------


def test_addresses_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of the table is one, and those said to be refused are refused with a hint."""
    monkeypatch.chdir(tmp_path)
    listed = [name for row in table("Addresses", "address") for name in names(row[0])]
    addresses = [name for name in listed if name != "pathlib.Path"]

    schemes = {parse_address(address).scheme for address in addresses}
    assert schemes == {"unix", "tcp", "tls", "file"}
    refused = re.search(r"looks like a socket \(`([^`]+)`, `([^`]+)`\)", README["Addresses"])
    assert refused
    for text, right in zip(refused.groups(), ("tcp://", "unix://")):
        with pytest.raises(ValueError, match=right):
            parse_address(text)


def test_limits_of_the_receiver_are_its_defaults() -> None:
    """The limits that the text names are those of DnstapReceiver."""
    text = " ".join(README["A small collector"].split())
    parameters = inspect.signature(DnstapReceiver).parameters
    shown = {"max_frame_size": "1 MiB", "max_connections": "64", "handshake_timeout": "5 s"}

    for name, value in shown.items():
        assert f"`{name}` ({value})" in text
    defaults = {name: parameters[name].default for name in shown}
    assert defaults == {"max_frame_size": 2**20, "max_connections": 64, "handshake_timeout": 5.0}
    assert "messages" in ReceiverStats._fields


def test_promised_names_are_public() -> None:
    """Every name of the package in the README's prose can be imported from where it says."""
    prose = FENCE.sub("", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    dotted = set(re.findall(r"`dnstap_logging\.([\w.]+)", prose))

    assert {"get_handler", "handlers", "text.format_line"} <= dotted
    for name in dotted:
        assert operator.attrgetter(name)(dnstap_logging) is not None, name


# -- docs/architecture.md --------------------------------------------------------------------------

ARCHITECTURE = sections(REPOSITORY / "docs" / "architecture.md")


def cells(text: str, columns: int) -> List[List[str]]:
    """Return the rows of the one table with so many columns in a text, without its heading."""
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:] if len(line) == columns]


def test_rooms_are_all_there() -> None:
    """The table of rooms has every module and folder of the package, on its own level."""
    package = Path(dnstap_logging.__file__).parent
    there = {path.name for path in package.glob("*.py")}
    there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    listed = {
        name: int(level)
        for level, room, _ in cells(ARCHITECTURE["The rooms"], 3)
        for name in names(room)
    }

    assert set(listed) == there
    floors = {name: FLOOR[re.sub(r"\.py$|/$", "", name)] for name in listed}
    assert listed == floors


def test_states_are_those_of_the_table() -> None:
    """The documented transitions are those that the sessions follow."""
    documented = [
        (direction, state, frame, sender, following)
        for direction, state, frame, sender, following in cells(ARCHITECTURE["Frame Streams"], 5)
    ]
    followed = [
        (direction.value, state.name, kind.name, SENT_BY[kind].value, following.name)
        for direction, transitions in TRANSITIONS.items()
        for (state, kind), following in transitions.items()
    ]

    assert documented == followed
