"""Mistakes in a logging configuration that nothing else shows: each is reported once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.situations.life.scripts import run

CONFIGURE = """
import json, logging.config
logger.propagate, logger.level = True, logging.NOTSET
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "dnstap": {
            "class": "dnstap_logging.DnstapHandler",
            "address": sys.argv[1],
            "close_timeout": 0.3 if "absent" in sys.argv[1] else 60,
        },
        "console": {"class": "logging.StreamHandler"},
    },
    **json.loads(sys.argv[2]),
})
handler = dnstap_logging.get_handler("dnstap")
"""


def said(address: object, configuration: Dict[str, Any], script: str) -> List[str]:
    """Run a script with a logging configuration; return the lines of its standard error."""
    text = run(CONFIGURE + script, address, json.dumps(configuration))["stderr"]
    return [line for line in text.splitlines() if line]


ROOT_ONLY: Dict[str, Any] = {"root": {"handlers": ["dnstap"], "level": "INFO"}}


def test_diagnostics_without_any_other_handler(tmp_path: Path) -> None:
    """With only dnstap handlers on the way, warnings go to logging's last resort."""
    address = f"unix://{tmp_path / 'absent.sock'}"
    lines = said(address, ROOT_ONLY, "log(1)\nhandler.flush(0.1)\nhandler.close()")

    assert any("no such socket" in line for line in lines), lines
    assert any("dropped 1 record (disconnected 1)" in line for line in lines), lines
    assert all(line.startswith(address) for line in lines), lines
    assert not any("stream ended" in line for line in lines), "only warnings, as logging does it"


@pytest.mark.parametrize(
    "script",
    [
        "logging.lastResort = None\n",
        "logging.getLogger().addHandler(logging.NullHandler())\n",
        "logging.getLogger('dnstap_logging').addHandler(logging.NullHandler())\n",
        "logging.getLogger('dnstap_logging').propagate = False\n"
        "logging.getLogger('dnstap_logging').addHandler(logging.NullHandler())\n",
        "logging.getLogger('dnstap_logging').addFilter(lambda record: False)\n",
        "logging.getLogger('dnstap_logging').setLevel(logging.CRITICAL)\n",
        "logging.getLogger('dnstap_logging').disabled = True\n",
    ],
)
def test_who_wants_no_diagnostics_gets_none(tmp_path: Path, script: str) -> None:
    """The usual ways of silencing a logger hold for the last resort, too."""
    lines = said(
        f"unix://{tmp_path / 'absent.sock'}",
        ROOT_ONLY,
        script + "log(1)\nhandler.flush(0.1)\nhandler.close()",
    )
    assert lines == []


def test_each_line_is_shown_once(tmp_path: Path) -> None:
    """With another handler on the way, lines go there and nowhere else."""
    configuration = {"root": {"handlers": ["dnstap", "console"], "level": "INFO"}}
    lines = said(
        f"unix://{tmp_path / 'absent.sock'}",
        configuration,
        "logging.warning('of the program')\nlog(1)\nhandler.flush(0.1)\nhandler.close()",
    )
    assert len([line for line in lines if "no such socket" in line]) == 1, lines
    assert len([line for line in lines if "dropped 1 record" in line]) == 1, lines
    assert [line for line in lines if "of the program" in line] == ["of the program"]
    assert not any("shown nowhere" in line for line in lines), lines


@pytest.mark.parametrize("buffered", [False, True])
def test_the_programs_own_warnings(tmp_path: Path, buffered: bool) -> None:
    """It is reported once that only dnstap handlers get them, and not for lines below WARNING."""
    script = """
if BUFFERED:
    import logging.handlers
    root = logging.getLogger()
    root.handlers = [logging.handlers.MemoryHandler(10, target=handler)]
logging.info("nobody misses this")
logging.getLogger("app.part").error("first")
logging.warning("second")
logging.getLogger("unheard of").warning("third")
handler.close()
""".replace("BUFFERED", str(buffered))
    lines = said(tmp_path / "capture.fstrm", ROOT_ONLY, script)

    seen = [line for line in lines if "shown nowhere" in line]
    assert len(seen) == 1, lines
    if not buffered:
        assert "the logger 'app.part', of level ERROR" in seen[0]
    assert not any("first" in line or "second" in line for line in lines), lines


REFUSALS: Dict[str, Any] = {
    "the level is left out": ({"loggers": {"dns": {"handlers": ["dnstap"]}}}, "", "WARNING"),
    "root": ({"root": {"handlers": ["dnstap"]}}, "", "the root logger has the effective level"),
    "the handler's level": (
        {"loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}}},
        "handler.setLevel(logging.WARNING)\n",
        "the level of this handler is WARNING",
    ),
    "disabled": (
        {"loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}}},
        "logger.disabled = True\n",
        "the logger 'dns' is disabled",
    ),
    "logging.disable": (
        {"loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}}},
        "logging.disable(logging.INFO)\n",
        "logging.disable() refuses INFO",
    ),
    "several": (
        {"loggers": {f"dns{n}": {"handlers": ["dnstap"]} for n in range(5)}},
        "",
        "and 2 more loggers",
    ),
    "fine": ({"loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}}}, "#", None),
    "a child that would do": (
        {"root": {"handlers": ["dnstap"]}, "loggers": {"dns.child": {"level": "INFO"}}},
        "#",
        None,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("close", ["", "handler.close()\nhandler.close()"])
def test_a_logger_that_refuses_all(tmp_path: Path, name: str, close: str) -> None:
    """A handler that is closed without a record says what refuses them all, also at the exit."""
    configuration, script, expected = REFUSALS[name]
    if not script.startswith("#"):
        script += "log(1)\n"
    lines = said(tmp_path / "capture.fstrm", configuration, script + close)

    found = [line for line in lines if "nothing was logged" in line]
    assert len(found) == (0 if expected is None else 1), lines
    if expected is not None:
        assert expected in found[0], lines


DOUBLINGS: Dict[str, Any] = {
    "child and root": (
        {
            "root": {"handlers": ["dnstap", "console"]},
            "loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}},
        },
        "attached to the logger 'dns' and to the root logger",
    ),
    "grandchild": (
        {
            "root": {"handlers": ["console"]},
            "loggers": {
                "dns": {"handlers": ["dnstap"], "level": "INFO"},
                "dns.a.b": {"handlers": ["dnstap"]},
            },
        },
        "attached to the logger 'dns.a.b' and to the logger 'dns'",
    ),
    "no propagation": (
        {
            "root": {"handlers": ["dnstap", "console"]},
            "loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO", "propagate": False}},
        },
        None,
    ),
    "neighbours": (
        {
            "root": {"handlers": ["console"]},
            "loggers": {
                "dns": {"handlers": ["dnstap"], "level": "INFO"},
                "other": {"handlers": ["dnstap"]},
            },
        },
        None,
    ),
}


@pytest.mark.parametrize("name", DOUBLINGS)
@pytest.mark.parametrize("way", ["log(1)", "tap.client_query(None)"])
def test_a_handler_that_is_reached_twice(tmp_path: Path, name: str, way: str) -> None:
    """One line names both loggers, whichever way records go, and however many there are."""
    configuration, expected = DOUBLINGS[name]
    script = f"""
tap = dnstap_logging.DnstapAdapter(logger)
for _ in range(100):
    {way}
    handler.flush()
handler.close()
"""
    lines = said(tmp_path / "capture.fstrm", configuration, script)

    found = [line for line in lines if "records come twice" in line]
    assert len(found) == (0 if expected is None else 1), lines
    if expected is not None:
        assert expected in found[0], lines


def test_a_handler_that_is_attached_again_later(tmp_path: Path) -> None:
    """It is looked for at the end once more."""
    configuration = {
        "root": {"handlers": ["console"]},
        "loggers": {"dns": {"handlers": ["dnstap"], "level": "INFO"}},
    }
    script = "log(1)\nhandler.flush()\nlogging.getLogger().addHandler(handler)\nlog(2)"
    lines = said(tmp_path / "capture.fstrm", configuration, script)

    assert len([line for line in lines if "records come twice" in line]) == 1, lines
