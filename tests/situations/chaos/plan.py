"""A scenario, made from its seed alone."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tests.situations.chaos.tables import DESTINATIONS, FAULTS, OPTIONS, STEPS

__all__ = ["Plan", "make_plan"]

MOST_SECONDS = 3.0
ENDINGS = ("calm", "calm", "abrupt", "exit", "exit in the middle")
"""How the program ends: once the collector is well again and all is flushed, by close() or by the
interpreter's end; or while everything still goes wrong."""


class Plan(NamedTuple):
    """What happens in a scenario.

    Attributes:
        seed: what it was made from.
        destination: a key of DESTINATIONS.
        faults: the kinds that it has.
        sessions: what the collector's sessions do, in turn; later ones are well.
        moments: when what begins and ends that happens to the collector's process or the file.
        options: arguments of the handler.
        threads: the steps of each thread, repeated until the time is over.
        seconds: this time.
        signals: seconds between two signals whose handler logs; 0: none.
        ending: one of ENDINGS.
    """

    seed: int
    destination: str
    faults: List[str]
    sessions: List[str]
    moments: List[Tuple[float, float, str]]
    options: Dict[str, Any]
    threads: List[List[List[Any]]]
    seconds: float
    signals: float
    ending: str

    def as_json(self) -> str:
        """Return it as text, which `from_json` reads."""
        return json.dumps(self._asdict())

    @staticmethod
    def from_json(text: str) -> Plan:
        """Return the plan of a text."""
        return Plan(**json.loads(text))

    def __str__(self) -> str:
        steps = [f"  thread {n}: {' '.join(map(_step, s))}" for n, s in enumerate(self.threads)]
        return "\n".join(
            [
                f"scenario {self.seed}: {self.destination}, {self.seconds:.1f} s, "
                f"signals every {self.signals} s, ending: {self.ending}",
                f"  options: {self.options}",
                f"  sessions: {' '.join(self.sessions)}",
                f"  moments: {self.moments}",
                *steps,
            ]
        )


def _step(step: Sequence[Any]) -> str:
    return f"{step[0]}({', '.join(map(str, step[1:]))})"


def make_plan(
    seed: int,
    destination: Optional[str] = None,
    fault: Optional[str] = None,
    *,
    disks: bool = True,
) -> Plan:
    """Return the scenario of a seed.

    Args:
        seed: any number.
        destination: only this one.
        fault: this one is among the faults.
        disks: whether the program can have a small disk of its own here.
    """
    rng = Random(seed)
    # Chosen in any case, so that all else is the same with and without the arguments.
    chosen = rng.choice([name for name in DESTINATIONS if fault is None or _fits(fault, name)])
    destination = destination or chosen
    possible = [n for n, f in FAULTS.items() if destination in f.where and n != "well"]
    faults = rng.sample(possible, rng.choice((0, 1, 1, 2, 2, 3)))
    if not disks:
        faults = [name for name in faults if not FAULTS[name].needs_namespace]
    if fault is not None and fault not in faults:
        faults.append(fault)
    seconds = round(rng.uniform(0.5, MOST_SECONDS), 1)
    return Plan(
        seed=seed,
        destination=destination,
        faults=faults,
        sessions=_sessions(rng, faults),
        moments=_moments(rng, faults, seconds),
        options=_options(rng, destination),
        threads=[_steps(rng, destination) for _ in range(rng.choice((1, 2, 2, 3, 5)))],
        seconds=seconds,
        signals=rng.choice((0, 0, 0, 0.005, 0.05)),
        ending=rng.choice(ENDINGS),
    )


def _fits(fault: str, destination: str) -> bool:
    return destination in FAULTS[fault].where


def _sessions(rng: Random, faults: List[str]) -> List[str]:
    kinds = [name for name in faults if FAULTS[name].by == "session"]
    if not kinds:
        return []
    return rng.choices([*kinds, "well"], k=rng.choice((1, 3, 10, 40)))


def _moments(rng: Random, faults: List[str], seconds: float) -> List[Tuple[float, float, str]]:
    """Choose when each fault that is no session's begins and ends; they do not overlap."""
    kinds = [name for name in faults if FAULTS[name].by != "session"]
    if not kinds:
        return []
    found: List[Tuple[float, float, str]] = []
    at = 0.0
    while at < seconds:
        name = rng.choice(kinds)
        begin = 0.0 if name.endswith("absent") and not found else round(at + rng.uniform(0, 0.6), 2)
        end = round(begin + rng.choice((0.0, 0.1, 0.3, 0.8, 1.5)), 2)
        found.append((begin, end, name))
        at = end
    return found


def _options(rng: Random, destination: str) -> Dict[str, Any]:
    found = dict(DESTINATIONS[destination].choose(rng))
    for name, option in OPTIONS.items():
        chance, value = rng.random(), option.choose(rng)
        if destination in option.where and chance < option.chance:
            found[name] = value
    return found


def _steps(rng: Random, destination: str) -> List[List[Any]]:
    names = [name for name, step in STEPS.items() if destination in step.where]
    # Some threads do little but log, others do all there is as often.
    power = rng.choice((1.0, 1.0, 0.3))
    weights = [STEPS[name].weight ** power for name in names]
    chosen = rng.choices(names, weights, k=rng.choice((5, 20, 60)))
    return [["log", "adapter", 1, 60], *([name, *STEPS[name].choose(rng)] for name in chosen)]
