"""Plans: each seed makes one, and every name in the tables can be carried out."""

from __future__ import annotations

import inspect

import pytest

import dnstap_logging
from tests.situations.chaos.brokers import BROKERS
from tests.situations.chaos.meddling import MEDDLING
from tests.situations.chaos.moments import MOMENTS
from tests.situations.chaos.peers import PEERS
from tests.situations.chaos.plan import Plan, make_plan
from tests.situations.chaos.steps import Steps
from tests.situations.chaos.tables import DESTINATIONS, FAULTS, OPTIONS, STEPS


def test_a_seed_makes_one_plan() -> None:
    """The seed that a failure prints makes the same scenario again, also through JSON."""
    for seed in range(50):
        plan = make_plan(seed)
        assert make_plan(seed) == plan
        assert Plan.from_json(plan.as_json()).as_json() == plan.as_json()
        assert f"scenario {seed}: {plan.destination}" in str(plan)


def test_seeds_reach_everything() -> None:
    """Some hundred seeds have every destination, fault, option and step among them."""
    plans = [make_plan(seed) for seed in range(600)]
    steps = {step[0] for plan in plans for thread in plan.threads for step in thread}

    assert {plan.destination for plan in plans} == set(DESTINATIONS)
    assert {fault for plan in plans for fault in plan.faults} == set(FAULTS) - {"well"}
    assert {name for plan in plans for name in plan.options} >= set(OPTIONS)
    assert steps == set(STEPS)


def test_every_fault_can_be_carried_out() -> None:
    """A fault in the table has its function, and each function is in the table."""
    for by, functions in {
        "session": PEERS,
        "process": MOMENTS,
        "file": MEDDLING,
        "brokers": BROKERS,
    }.items():
        assert {name for name, fault in FAULTS.items() if fault.by == by} == set(functions)


def test_at_least_fifteen_faults_for_every_kind_of_socket() -> None:
    """Each kind of collector has fifteen kinds of faults and more."""
    for name, destination in DESTINATIONS.items():
        if destination.has_collector:
            assert sum(name in fault.where for fault in FAULTS.values()) > 15, name


def test_steps_and_options_are_there() -> None:
    """A step in the table is a method of `Steps`; an option is an argument of the handlers."""
    arguments = inspect.signature(dnstap_logging.DnstapHandler).parameters
    for name in STEPS:
        assert callable(getattr(Steps, name))
    for name in OPTIONS:
        assert name in arguments


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "well"])
def test_a_fault_can_be_asked_for(fault: str) -> None:
    """With a fault asked for, every plan has it, at a destination that can have it."""
    for seed in range(5):
        plan = make_plan(seed, fault=fault)
        assert fault in plan.faults
        assert plan.destination in FAULTS[fault].where
