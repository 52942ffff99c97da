"""Senders in a process of their own: each is a handler with a sequence, and logs all the time.

    python -m tests.storm.crowd ADDRESS FIRST COUNT ARGUMENTS

ARGUMENTS are the handlers', as JSON. It prints a line when all have a session, another one when all
have their second, and so on, until its standard input ends. Then it prints one line of JSON for
each sender: when its sessions began, and its counters.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any, Dict, List

from dnstap_logging import DnstapHandler

TICK = 0.05
"""Seconds between two records of a sender, and between two looks at whether it has a session."""


class Sender:
    """A handler that is given records."""

    def __init__(self, address: str, number: int, arguments: Dict[str, Any]) -> None:
        identity = f"sender-{number}"
        self.handler = DnstapHandler(address, identity=identity, sequence=True, **arguments)
        self.began: List[float] = []
        self._sent = 0

    def tick(self) -> None:
        """Log one record, and note whether a session has begun."""
        self._sent += 1
        extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(40)}
        self.handler.handle(logging.makeLogRecord(extra))
        if self.handler.stats().connects > len(self.began):
            self.began.append(time.monotonic())

    def end(self) -> Dict[str, Any]:
        """Close; return what came of it."""
        self.handler.close()
        stats = self.handler.stats()
        names = ("logged", "written", "resent", "unconfirmed", "confirmed", "connects")
        counters = {name: getattr(stats, name) for name in names}
        failed = sum(failures for failures, _ in stats.attempts.values())
        return {
            "began": self.began,
            "dropped": sum(stats.dropped.values()),
            **counters,
            "failed": failed,
        }


def main(address: str, first: str, count: str, arguments: str) -> None:
    """Log until standard input ends."""
    numbers = range(int(first), int(first) + int(count))
    senders = [Sender(address, number, json.loads(arguments)) for number in numbers]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sessions = 0
    while not ended.wait(TICK):
        for sender in senders:
            sender.tick()
        if min(len(sender.began) for sender in senders) > sessions:
            sessions += 1
            print("all have a session", flush=True)
    ends: List[Dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda each=each: ends.append(each.end())) for each in senders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in ends:
        print(json.dumps(each))


if __name__ == "__main__":
    main(*sys.argv[1:])
