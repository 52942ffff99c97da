"""The handler in dictConfig, fileConfig and on the root logger."""

from __future__ import annotations

import logging
import logging.config
from pathlib import Path
from typing import Iterator

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler
from tests.helpers.records import query, read
from tests.helpers.said import Said
from tests.helpers.support import wait_until

DICT_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"extra": {"format": "upstream=%(upstream)s"}},
    "loggers": {"dns.test": {"level": "INFO", "handlers": ["tap"], "propagate": False}},
}


@pytest.fixture
def _logging_is_restored() -> Iterator[None]:
    yield
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})


@pytest.mark.usefixtures("_logging_is_restored")
def test_dictconfig_makes_a_handler_that_can_be_found(capture: Path) -> None:
    """dictConfig configures every argument, level and formatter; get_handler finds the result."""
    tap = {
        "class": "dnstap_logging.DnstapHandler",
        "address": f"file://{capture}",
        "identity": "ns1",
        "mode": "x",
        "level": "WARNING",
        "formatter": "extra",
    }
    logging.config.dictConfig({**DICT_CONFIG, "handlers": {"tap": tap}})
    handler = dnstap_logging.get_handler("tap")
    assert handler is not None
    assert handler in dnstap_logging.handlers()
    assert dnstap_logging.get_handler("no such handler") is None

    logger = logging.getLogger("dns.test")
    logger.info("query", extra=query(upstream="no"))
    logger.warning("query", extra=query(upstream="yes"))
    handler.close()

    assert [message.extra for message in read(capture)] == [b"upstream=yes"]


@pytest.mark.usefixtures("_logging_is_restored")
def test_dictconfig_shows_what_is_wrong_with_an_argument() -> None:
    """A bad argument in dictConfig raises, and its cause names the argument."""
    tap = {"class": "dnstap_logging.DnstapHandler", "address": "unix:///x", "queue_size": 0}

    with pytest.raises(ValueError, match="tap") as caught:
        logging.config.dictConfig({**DICT_CONFIG, "handlers": {"tap": tap}})

    assert "queue_size=0" in str(caught.value.__cause__)


@pytest.mark.usefixtures("_logging_is_restored")
def test_fileconfig_takes_args_and_kwargs(tmp_path: Path, capture: Path) -> None:
    """A configuration file's args and kwargs strings reach the constructor."""
    ini = tmp_path / "logging.ini"
    ini.write_text(
        f"""
[loggers]
keys=root,dns
[handlers]
keys=tap
[formatters]
keys=
[logger_root]
handlers=
[logger_dns]
level=INFO
handlers=tap
propagate=0
qualname=dns.file
[handler_tap]
class=dnstap_logging.DnstapHandler
args=('file://{capture}',)
kwargs={{'identity': 'from fileConfig'}}
"""
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    logger = logging.getLogger("dns.file")

    logger.info("query", extra=query())
    logger.handlers[0].close()

    assert [message.identity for message in read(capture)] == [b"from fileConfig"]


@pytest.mark.usefixtures("_logging_is_restored")
def test_on_the_root_logger_its_own_diagnostics_do_not_come_back(
    tmp_path: Path, said: Said
) -> None:
    """On the root logger at DEBUG with nobody listening, nothing of its own enters its queue."""
    root = logging.getLogger()
    level = root.level
    handler = DnstapHandler(
        f"unix://{tmp_path}/absent.sock",
        close_timeout=0,
        report_interval=0,
        reconnect_interval=0.001,
        max_reconnect_interval=0.001,
    )
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        root.info("query", extra=query())
        wait_until(lambda: len(said.records) >= 10, "ten diagnostics")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    handler.close()

    assert handler.stats().logged == 1
