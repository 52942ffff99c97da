"""Coverage-guided fuzzing of everything that reads foreign bytes: `make fuzz`.

    python -m tests.situations.fuzz.fuzz_streams [--seconds N] [--corpus FOLDER] [option ...]

The first byte of an input says who reads it, the second how the rest is cut into portions. An
input that breaks a promise is written to a file ``crash-...`` in the current folder, and shown;
given as an argument, it is tried again. This is no test: pytest does not collect it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, List, Tuple

MAX_SECONDS_OF_ONE_INPUT = 20
"""libFuzzer calls it a hang then; an input takes some milliseconds, even on a busy machine."""

MAX_MEGABYTES = 1024
"""libFuzzer calls it a leak then; Python, the instrumentation and the corpus take a few hundred."""

MAX_INPUT = 4096
"""Bytes of an input: some dozens of frames; longer ones find no more, and are slower."""

Target = Callable[[bytes, int], object]


def main() -> None:
    """Fuzz until the time is over, or a promise is broken."""
    arguments, options = parse_arguments()
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed here: pip install atheris (Python 3.11 or newer)")
    if arguments.corpus is None:
        # libFuzzer ends its process without any farewell, so another one has to tidy up.
        with tempfile.TemporaryDirectory(prefix="dnstap-fuzz-") as corpus:
            command = [
                sys.executable,
                "-m",
                "tests.situations.fuzz.fuzz_streams",
                "--corpus",
                corpus,
            ]
            sys.exit(subprocess.call([*command, *sys.argv[1:]]))
    # Only what is imported here is instrumented, so nothing above may import the package.
    with atheris.instrument_imports(include=["dnstap_logging"]):
        targets, seeds = load()

    def one_input(data: bytes) -> None:
        if len(data) >= 2:
            targets[data[0] % len(targets)](data[2:], data[1])

    limits = [
        f"-max_total_time={arguments.seconds}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={MAX_SECONDS_OF_ONE_INPUT}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        "-print_final_stats=1",
    ]
    if all(option.startswith("-") for option in options):  # no input to be tried again
        write_seeds(Path(arguments.corpus), seeds)
        options.append(arguments.corpus)
    atheris.Setup([sys.argv[0], *limits, *options], one_input)
    atheris.Fuzz()


def parse_arguments() -> Tuple[argparse.Namespace, List[str]]:
    """Return our own arguments, and those for libFuzzer."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.situations.fuzz.fuzz_streams", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz (default 60)")
    parser.add_argument("--corpus", help="a folder that keeps what was found (default: a new one)")
    return parser.parse_known_args()


def load() -> Tuple[List[Target], List[Tuple[int, bytes]]]:
    """Return who reads, and the inputs to begin with: the number of a reader, and its bytes."""
    from tests.situations.fuzz import promises, seeds

    def over_portions(check: Callable[[bytes, Any], None]) -> Target:
        return lambda stream, step: check(stream, promises.cut(stream, step))

    targets: List[Target] = [
        over_portions(promises.check_decoder),
        over_portions(promises.check_reader_session),
        over_portions(promises.check_writer_session),
        over_portions(promises.check_reader),
        lambda payload, _: promises.check_message(payload),
        lambda message, _: promises.check_dnswire(message),
    ]
    streams = seeds.STREAMS + seeds.ANSWERS
    inputs = [(reader, stream) for reader in range(4) for stream in streams]
    inputs += [(4, payload) for payload in seeds.PAYLOADS]
    inputs += [(5, message) for message in seeds.DNS_MESSAGES]
    return targets, inputs


def write_seeds(corpus: Path, seeds: List[Tuple[int, bytes]]) -> None:
    """Write the inputs to begin with, each whole and in portions of seven bytes."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, (reader, stream) in enumerate(seeds):
        for step in (0, 7):
            (corpus / f"seed-{number}-{step}").write_bytes(bytes((reader, step)) + stream)


if __name__ == "__main__":
    main()
