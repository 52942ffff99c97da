"""A reader that follows what real writers do to their captures, under load."""

from __future__ import annotations

from pathlib import Path
from signal import SIGHUP
from typing import Dict, List

from dnstap_logging import DnstapHandler, RotatingDnstapHandler
from tests.helpers.logrotate import Logrotate, create
from tests.helpers.support import wait_until
from tests.reader.following import Following
from tests.rotating.load import Load, by_thread, log, mark_of
from tests.situations.interop.collectors import DnstapTool, FstrmCapture, free_address

ROTATIONS = 3
COUNT = 3000  # records: many of the blocks in which fstrm_capture writes
PAUSE = 0.001  # seconds between two records of a thread: the reader shares the interpreter


def lossless(path: Path) -> DnstapHandler:
    """Return a handler that loses nothing by itself."""
    return DnstapHandler(path, overflow="block", close_timeout=60)


def catch_up(following: Following, load: Load) -> None:
    """Wait until all that was logged up to now has been read."""
    total = load.total
    wait_until(
        lambda: following.error or len(following.numbers) >= total,
        f"{total} records to be read",
        60,
    )


def complete(logged: Dict[int, int]) -> Dict[int, List[int]]:
    """Return what must have been read of each thread: all, once, in order."""
    return {thread: list(range(count)) for thread, count in logged.items()}


def test_our_rotating_handler(tmp_path: Path) -> None:
    """Rolled over under load, nothing is missed and nothing comes twice, across every file."""
    path = tmp_path / "capture.fstrm"
    handler = RotatingDnstapHandler(path, backupCount=20, overflow="block", close_timeout=60)
    with Following(path, mark_of) as following:
        with Load(handler, threads=2, pause=PAUSE) as load:
            for _ in range(ROTATIONS):
                load.wait_for_more(100)
                handler.doRollover()
                wait_until(lambda: following.is_on(path), "the reader to go over to the new file")
        handler.close()
        catch_up(following, load)
        wait_until(lambda: following.reader.complete, "the last STOP")

    assert len(list(tmp_path.iterdir())) == ROTATIONS + 1
    assert by_thread(following.numbers) == complete(load.logged)
    assert following.reader.skipped == 0


def test_logrotate_create(tmp_path: Path) -> None:
    """The same with logrotate, which makes the new file before the handler knows."""
    folder = tmp_path / "captures"
    folder.mkdir(mode=0o700)
    path = folder / "capture.fstrm"
    logrotate = Logrotate(tmp_path, f"{path} {{\n rotate 100\n {create()}\n}}\n")
    handler = lossless(path)
    with Following(path, mark_of) as following:
        with Load(handler, threads=2, pause=PAUSE) as load:
            for number in range(ROTATIONS):
                load.wait_for_more(100)
                logrotate.rotate()
                wait_until(lambda n=number: handler.stats().connects == n + 2, "a new stream")
                wait_until(lambda: following.is_on(path), "the reader to go over to the new file")
        handler.close()
        catch_up(following, load)

    assert by_thread(following.numbers) == complete(load.logged)


def test_logrotate_copytruncate(tmp_path: Path) -> None:
    """Emptied under load: the new stream is read; missed is at most what was emptied unread."""
    folder = tmp_path / "captures"
    folder.mkdir(mode=0o700)
    path = folder / "capture.fstrm"
    logrotate = Logrotate(tmp_path, f"{path} {{\n rotate 100\n copytruncate\n}}\n")
    handler = lossless(path)
    with Following(path, mark_of) as following:
        with Load(handler, threads=1, pause=PAUSE) as load:
            load.wait_for_more(100)
            logrotate.rotate()
            wait_until(lambda: handler.stats().connects == 2, "a new stream")
            load.wait_for_more(100)
        handler.close()
        last = (0, load.logged[0] - 1)
        wait_until(lambda: following.error or following.numbers[-1:] == [last], "the last record")

    (numbers,) = by_thread(following.numbers).values()
    assert numbers == sorted(set(numbers)), "nothing comes twice"
    assert len(numbers) > 100


def test_a_program_that_starts_again(tmp_path: Path) -> None:
    """A handler that continues the capture of the last one is followed over each STOP."""
    path = tmp_path / "capture.fstrm"
    lossless(path).close()
    with Following(path, mark_of) as following:
        for run in range(3):
            handler = lossless(path)
            for number in range(50):
                log(handler, number, run)
            handler.close()
            wait_until(lambda n=run: len(following.numbers) >= 50 * (n + 1), "its records", 60)
            wait_until(lambda: following.reader.complete, "its STOP")

    assert by_thread(following.numbers) == complete({0: 50, 1: 50, 2: 50})


def test_the_dnstap_tool_and_sighup(tmp_path: Path) -> None:
    """What ``dnstap -w`` writes is followed, over a file that was moved away and SIGHUP."""
    with DnstapTool(free_address("unix", tmp_path), tmp_path / "capture.fstrm") as tool:
        wait_until(tool.output.exists, "its capture")
        handler = DnstapHandler(tool.address, overflow="block", close_timeout=60)
        with Following(tool.output, mark_of) as following:
            for number in range(ROTATIONS):
                log(handler, number)
                assert handler.flush()
                # The tool takes its time: the record may be in the next file only, or after that.
                while len(following.numbers) <= number:
                    tool.output.rename(tmp_path / f"{tool.output.stat().st_ino}.moved")
                    tool.signal(SIGHUP)
                    wait_until(lambda: following.is_on(tool.output), "the tool's next file")
        handler.close()

    assert following.numbers == [(0, number) for number in range(ROTATIONS)]


def test_fstrm_capture_writes_torn_frames(tmp_path: Path) -> None:
    """fstrm_capture writes blocks that end anywhere; all frames come out, each once."""
    with FstrmCapture(free_address("unix", tmp_path), tmp_path / "capture.fstrm") as collector:
        handler = DnstapHandler(collector.address, overflow="block", close_timeout=60)
        wait_until(collector.output.exists, "its capture")
        with Following(collector.output, mark_of) as following:
            for number in range(COUNT):
                log(handler, number)
            handler.close()
            collector.stop()
            wait_until(lambda: following.reader.complete, "STOP")

    assert following.numbers == [(0, number) for number in range(COUNT)]
