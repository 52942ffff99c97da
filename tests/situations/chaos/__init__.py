"""Seeded random programs against real destinations that misbehave: `make chaos`.

    python -m tests.situations.chaos [--seconds N] [--seed N] [--show]
        [--fault NAME] [--destination NAME]

* `tables`: what there is to choose from: destinations, faults, options, steps. One entry each.
* `plan`: makes a scenario from a seed, and prints it.
* `program`: the program under test, a process of its own; `actor` is its life, `steps` what its
  threads do, `tapped` a handler with its books.
* `collector`: the collector, another process; `peers` is how its sessions misbehave.
* `moments`: what happens to the collector's process; `meddling`, to the files; `stealing`, to
  descriptors.
* `books`: compares what the program says with what arrived; `streams` reads what arrived.
* `scenario`: runs one scenario; `__main__` runs one after the other.

Plans are a pure function of their seed. How the threads meet is not, so a seed that failed once may
have to be repeated some times (`--repeat`).
"""
