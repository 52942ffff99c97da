"""Nothing that the library says or does comes back into its own queue (P40)."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from dnstap_logging import DnstapReceiver
from tests.helpers.support import free_port
from tests.situations.life.scripts import finish, run, start

ROOT = """
import logging.config
seen = []
class Counted(logging.Handler):
    def emit(self, record):
        seen.append(record.name)
root = logging.getLogger()
root.setLevel(logging.DEBUG)
root.addHandler(Counted())
def wait_for(condition):
    while not condition():
        time.sleep(0.001)
def own():
    return seen.count("dnstap_logging")
def attach_to_root(address, **arguments):
    handler = dnstap_logging.DnstapHandler(
        address, report_interval=0, reconnect_interval=0.01,
        max_reconnect_interval=0.01, **arguments)
    root.addHandler(handler)
    return handler
def end(handler):
    handler.close()
    wait_for(lambda: not dnstap_logging.diagnostics._desk.mailbox.qsize())
    print(json.dumps({"own": own(), "others": len(seen) - own(), **books(handler)}))
"""

MISTAKES = {
    "a record factory": """
make = logging.LogRecord
def with_extras(*args, **kwargs):
    record = make(*args, **kwargs)
    record.dns_message_type = "TOOL_QUERY"
    return record
logging.setLogRecordFactory(with_extras)
""",
    "a filter of another handler": """
def add(record):
    record.dns_message_type = "TOOL_QUERY"
    return True
root.handlers[0].addFilter(add)
""",
    "a filter of our logger": """
def add(record):
    record.dns_message_type = "TOOL_QUERY"
    return True
logging.getLogger("dnstap_logging").addFilter(add)
root.addFilter(add)
""",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_own_diagnostics_stay_out_whatever_they_carry(tmp_path: Path, mistake: str) -> None:
    """Even if somebody gives dns extras to every record, ours never enter a dnstap queue."""
    found = run(
        ROOT
        + MISTAKES[mistake]
        + """
handler = attach_to_root(sys.argv[1], queue_size=5, close_timeout=0.5)
for number in range(10):
    root.info("of the program", extra=None if "factory" in sys.argv[2]
              else {"dns_extra": "x"})
wait_for(lambda: own() >= 20)              # nobody listens, and it says so again and again
end(handler)
""",
        f"unix://{tmp_path}/absent.sock",
        mistake,
    )

    assert found["own"] >= 20
    assert found["logged"] == 10, found
    assert found["disconnected"] == 5, found


EVERYTHING = """
import asyncio, http.client, http.server, ssl, urllib.request, warnings
logging.captureWarnings(True)
http.client.HTTPConnection.debuglevel = 1
sys.stdout, real = sys.stderr, sys.stdout  # where http.client prints
handler = attach_to_root(sys.argv[1], close_timeout=60)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        logging.getLogger("page").debug("asked", extra={"dns_message_type": "TOOL_QUERY"})
        self.send_response(200)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0
    for number in range(100):
        logging.getLogger("dns").info("q", extra={"dns_message_type": "CLIENT_QUERY"})
        await asyncio.sleep(0)
    await loop.run_in_executor(None, lambda: urllib.request.urlopen(
        "http://127.0.0.1:%d/" % server.server_port).read())
    for number in range(3):
        warnings.warn("of the program")
logger.propagate = True
asyncio.run(main(), debug=True)
server.shutdown()
server.server_close()
context = ssl.create_default_context()
assert "asyncio" in seen and "py.warnings" in seen, set(seen)
sys.stdout = real
print("logged", flush=True)
sys.stdin.readline()
end(handler)
"""


def test_on_the_root_logger_with_the_noise_of_a_program(tmp_path: Path) -> None:
    """At DEBUG with asyncio, urllib, ssl and warnings, the collector down, then up: no loop."""
    messages: List[object] = []
    address = f"tcp://127.0.0.1:{free_port()}"
    with start(ROOT + EVERYTHING, address, warnings="default") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "logged\n", finish(process)
        with DnstapReceiver(address, messages.append):
            found = finish(process, say="the collector is there\n")

    assert (found["logged"], found["written"]) == (101, 101), found
    assert len(messages) == 101
    assert found["own"] > 2, found
