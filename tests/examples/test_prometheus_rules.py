"""The alerts for Prometheus: promtool reads them, and each fires when it should and only then."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.pages import DOCS, REPOSITORY, code_in
from tests.helpers.support import require_program

RULES = REPOSITORY / "examples" / "prometheus" / "dnstap.rules.yml"
METRIC = re.compile(r"\bdnstap_\w+")
LABELS = '{instance="ns1:9153", handler="capture", address="unix:///run/dnstap.sock"'
CAUSE = LABELS + ', cause="queue_full"}'
QUIET = "0+0x90"
"""A counter or gauge that stays at 0 for an hour and a half."""

FIRING = {
    "DnstapRecordsLost": {f"dnstap_records_dropped_total{CAUSE}": "0+10x90"},
    "DnstapRecordsUnconfirmed": {"dnstap_records_unconfirmed_total": "0x80 5x10"},
    "DnstapNotConnected": {"dnstap_connected": "1x80 0x10", "dnstap_queue_records": "0x80 9x10"},
    "DnstapQueueFills": {"dnstap_queue_records": "0x80 5001x10"},
    "DnstapSpoolFills": {"dnstap_spooled_bytes": "0x80 600000000x10"},
    "DnstapSessionsBreak": {"dnstap_disconnects_total": "0x80 1+1x10"},
    "DnstapServerSilent": {"dnstap_records_logged_total": "0+10x60 600x30"},
    "DnstapFieldsLeftOut": {"dnstap_invalid_fields_total": "0x80 1+1x10"},
}
"""For each alert series, of a value a minute, on which it fires and no other does."""

USUAL = {
    f"dnstap_records_dropped_total{CAUSE}": QUIET,
    "dnstap_records_unconfirmed_total": QUIET,
    "dnstap_connected": "1x90",
    "dnstap_queue_records": "3x90",
    "dnstap_spooled_records": "0x90",
    "dnstap_spooled_bytes": "0x90",
    "dnstap_disconnects_total": QUIET,
    "dnstap_records_logged_total": "0+10x90",
    "dnstap_invalid_fields_total": QUIET,
}
"""Series of a handler with which all is well."""


def rules() -> List[Dict[str, Any]]:
    """Return the alerts of the file."""
    read = importlib.import_module("yaml").safe_load(RULES.read_text(encoding="utf-8"))
    (group,) = read["groups"]
    found: List[Dict[str, Any]] = group["rules"]
    return found


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own tool."""
    command = [require_program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def shown_metrics(tmp_path: Path) -> Set[str]:
    """Return the names of what a handler with a spool shows to Prometheus, as it is scraped."""
    client = pytest.importorskip("prometheus_client")
    module = importlib.import_module("dnstap_logging.integrations.prometheus")
    handler = DnstapHandler(f"unix://{tmp_path}/absent", spool=tmp_path / "spool")
    registry = client.CollectorRegistry()
    registry.register(module.DnstapCollector([handler]))
    text = client.generate_latest(registry).decode()
    handler.close()
    return set(re.findall(r"^(dnstap_\w+)\{", text, re.MULTILINE))


def test_each_metric_is_one_that_a_handler_shows(tmp_path: Path) -> None:
    """No alert waits for a series that is never there."""
    used = {name for rule in rules() for name in METRIC.findall(rule["expr"])}

    assert len(used) >= 8
    assert used <= shown_metrics(tmp_path)


def test_each_alert_says_which_server_it_is() -> None:
    """Its name and its line are there, and the line names the instance and the handler."""
    names = [rule["alert"] for rule in rules()]

    assert set(names) == set(FIRING)
    assert len(names) == len(set(names))
    for rule in rules():
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert "{{ $labels.handler }}" in rule["annotations"]["summary"]


def test_the_page_has_the_same_alerts() -> None:
    """The how-to about metrics shows the file as it is."""
    (shown,) = code_in(DOCS / "howto" / "metrics.md", "yaml")
    lines = RULES.read_text(encoding="utf-8").splitlines(keepends=True)

    assert shown == "".join(line for line in lines if not line.startswith("#"))


def test_promtool_reads_the_file() -> None:
    """Every expression is one, to Prometheus itself."""
    done = promtool("check", "rules", RULES)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


@pytest.mark.parametrize("alert", [*FIRING, None])
def test_each_alert_fires_when_it_should(tmp_path: Path, alert: Any) -> None:
    """Prometheus evaluates the rules over an hour and a half: this one fires, or none at all."""
    yaml = importlib.import_module("yaml")
    series = {**USUAL, **FIRING.get(alert, {})}
    inputs = [
        {"series": name if "{" in name else name + LABELS + "}", "values": values}
        for name, values in series.items()
    ]
    expressions = [
        {"alertname": each, "eval_time": "88m", "exp_alerts": []}
        for each in FIRING
        if each != alert
    ]
    if alert is not None:
        # Whatever its labels: ALERTS is how Prometheus itself shows what fires.
        expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
        samples = [{"labels": "{}", "value": 1}]
    else:
        expression, samples = 'count(ALERTS{alertstate="firing"})', []
    test = {
        "interval": "1m",
        "input_series": inputs,
        "alert_rule_test": expressions,
        "promql_expr_test": [{"expr": expression, "eval_time": "88m", "exp_samples": samples}],
    }
    path = tmp_path / "test.yml"
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    path.write_text(yaml.safe_dump(content))

    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr
