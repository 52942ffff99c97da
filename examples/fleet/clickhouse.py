"""ClickHouse as a process of its own: chdb, its engine as a library.

A line of standard input is a statement, its parameters and the format of the answer, as JSON. A
line of output is the answer, or what went wrong. It ends when its input does.
"""

from __future__ import annotations

import json
import sys

from chdb.session import Session


def main() -> None:
    """Run statements; what they keep is in the folder that the program is started in."""
    with Session("data") as session:
        for line in sys.stdin:
            statement, parameters, form = json.loads(line)
            try:
                found = session.query(statement, form, params=parameters)
                answer = {"text": found.bytes().decode("utf-8", "replace")}
            except RuntimeError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
