"""ClickHouse in a process of its own, with the tables and views of examples/clickhouse.

It is chdb: ClickHouse's own engine as a library, which runs the statements unchanged, but listens
nowhere. It is installed since Python 3.13.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Type, TypeVar

from dnstap_logging.codec import proto
from tests.helpers.broker import BROKER_SINCE
from tests.helpers.pages import REPOSITORY
from tests.helpers.support import wait_until
from tests.situations.life.scripts import require_module

__all__ = ["EXAMPLES", "ClickHouse", "require_clickhouse", "statements"]

C = TypeVar("C", bound="ClickHouse")

EXAMPLES = REPOSITORY / "examples" / "clickhouse"

SCHEMA = Path(proto.__file__).with_name("dnstap.proto")

SERVER = """
import json, sys
from chdb.session import Session

with Session("data") as session:
    for line in sys.stdin:
        statement, parameters = json.loads(line)
        try:
            found = session.query(statement, "JSONCompactEachRow", params=parameters).bytes()
            rows = [json.loads(row) for row in found.decode("utf-8", "replace").splitlines()]
            print(json.dumps({"rows": rows}), flush=True)
        except Exception as error:
            print(json.dumps({"error": str(error)}), flush=True)
"""


def statements(path: Path) -> List[str]:
    """Return the statements of a file, without the lines that are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    return [each.strip() for each in (text + "\n").split(";\n") if each.strip()]


def require_clickhouse() -> None:
    """Skip the test where ClickHouse is not installed."""
    # It is not imported here: all of a database would come into the process of the tests.
    if sys.version_info < BROKER_SINCE or importlib.util.find_spec("chdb") is None:
        require_module("chdb", BROKER_SINCE)


class ClickHouse:
    """A ClickHouse that keeps its data in a folder, from `with` to its end.

    Args:
        folder: where the schema of dnstap lies too.
    """

    def __init__(self, folder: Path) -> None:
        require_clickhouse()
        self._folder = folder
        self._process: Optional[subprocess.Popen[str]] = None

    def __enter__(self: C) -> C:
        self._folder.mkdir(exist_ok=True)
        shutil.copy(SCHEMA, self._folder)
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # librdkafka's lines when the broker ends
            text=True,
        )
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        process = self._process
        assert process is not None
        process.kill()
        process.communicate()

    def query(self, statement: str, **parameters: str) -> List[List[Any]]:
        """Run a statement; return its rows."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([statement, parameters]) + "\n")
        process.stdin.flush()
        answer: Dict[str, Any] = json.loads(process.stdout.readline() or '{"error": "it ended"}')
        assert "error" not in answer, f"{statement}: {answer['error']}"
        rows: List[List[Any]] = answer["rows"]
        return rows

    def counts(self, column: str, where: str = "1") -> Dict[str, int]:
        """Return how many messages have each value of a column that is not NULL."""
        rows = self.query(
            f"SELECT {column} AS each, count() FROM dnstap WHERE {where} AND {column} IS NOT NULL "
            "GROUP BY each"
        )
        return {value: int(count) for value, count in rows}

    def set_up(self, *, brokers: Optional[str] = None, topic: str = "dnstap") -> None:
        """Run the statements of the examples, in the order of their names.

        Args:
            brokers: where the topic is read from; None: leave out what reads it.
            topic: its name.
        """
        for path in sorted(EXAMPLES.glob("*.sql")):
            for statement in statements(path):
                if "{brokers:" in statement and brokers is not None:
                    self.query(statement, brokers=brokers, topic=topic)
                elif brokers is not None or "kafka" not in path.name:
                    self.query(statement)

    def load(self, path: Path) -> None:
        """Insert the messages of a file that ``read --protobuf`` wrote."""
        self.query(
            f"INSERT INTO dnstap_payloads (identity, version, extra, type, message) "
            f"FROM INFILE '{path}' SETTINGS format_schema = 'dnstap.proto:Dnstap' FORMAT Protobuf"
        )

    def wait_for(self, messages: int, timeout: float = 120.0) -> None:
        """Wait until so many messages, readable or not, are there."""

        def all_there() -> bool:
            rows = self.query(
                "SELECT (SELECT count() FROM dnstap) + (SELECT count() FROM dnstap_unreadable)"
            )
            return int(rows[0][0]) >= messages

        wait_until(all_there, f"{messages} messages in ClickHouse", timeout)
