"""All that reads DNS messages to show, choose or count them, each as a function of a message."""

from __future__ import annotations

import argparse
from typing import Callable, Dict

from dnstap_logging import DnstapMessage
from dnstap_logging.cli.dns_content import dns_text
from dnstap_logging.cli.selecting import add_arguments, make_selector
from dnstap_logging.cli.template import VALUES, Template
from dnstap_logging.cli.top.statistics import Traffic
from dnstap_logging.text import format_line, format_summary
from dnstap_logging.text.dns import format_dns
from dnstap_logging.text.json import format_json
from dnstap_logging.text.quiet import format_quiet
from dnstap_logging.text.yaml import format_yaml

__all__ = ["READERS"]


def _message(wire: bytes) -> DnstapMessage:
    return DnstapMessage("CLIENT_RESPONSE", query_address="192.0.2.1", response_message=wire)


def _selects(*arguments: str) -> Callable[[bytes], object]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    chosen = make_selector(parser.parse_args(arguments))
    return lambda wire: chosen(_message(wire))


def _dns(wire: bytes) -> None:
    """Render a message without dnspython."""
    try:
        format_dns(wire)
    except ValueError:
        return


_template = Template(" ".join(f"{{{name}}}" for name in VALUES))
_traffic = Traffic()

READERS: Dict[str, Callable[[bytes], object]] = {
    "line": lambda wire: format_line(_message(wire)),
    "summary": lambda wire: format_summary(_message(wire)),
    "quiet": lambda wire: format_quiet(_message(wire)),
    "template": lambda wire: _template.format(_message(wire)),
    "without dnspython": _dns,
    "json": lambda wire: format_json(_message(wire), dns_text(), full=True),
    "yaml": lambda wire: format_yaml(_message(wire), dns_text()),
    "--name": _selects("--name", "a.example", "--name", "b.example"),
    "--rcode": _selects("--rcode", "NXDOMAIN"),
    "top": lambda wire: _traffic.add(_message(wire)),
}
