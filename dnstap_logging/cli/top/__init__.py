"""Show what the traffic looks like while it flows.

The statistics stand apart from the sources, and both from what shows them: `statistics.py` and what
it is made of (`busiest.py`, `latency.py`, `pairs.py`, `timeline.py`) do no I/O.
"""
