"""The folder: made, checked, bounded, and shared."""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from dnstap_logging.exceptions import DiskFull, TransportError
from dnstap_logging.spool import folder as folder_module
from dnstap_logging.spool.folder import SpoolFolder
from dnstap_logging.spool.segment import Segment
from tests.helpers.support import capture
from tests.helpers.workers import Workers
from tests.situations.captures.whole import read_whole
from tests.spool.spools import (
    ADDRESS,
    MIB,
    adopt_all,
    adopted,
    all_of,
    filled,
    names,
    payloads,
    put,
    spool,
)
from tests.transport.peers import NOBODY, in_child


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the folder is."""
    return tmp_path / "spool"


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """Return a folder that an unprivileged process owns; nobody else may reach tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def test_the_folder_is_made_if_its_parent_exists(path: Path) -> None:
    """With 0750 less the umask: what waits in it is personal data."""
    old = os.umask(0)
    try:
        spool(path)
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert (path / "addresses").read_text() == f"{ADDRESS}\n"
    assert [each.name for each in path.iterdir()] == ["addresses"]
    spool(path)
    with pytest.raises(TransportError, match=r"^spool='.*': the folder above it .*create it first"):
        spool(path / "not" / "there")


def test_nothing_is_done_before_the_check(path: Path) -> None:
    """The constructor only remembers."""
    SpoolFolder(str(path), MIB, [ADDRESS], MIB)
    assert not path.exists()


def test_what_is_not_a_folder_is_refused(path: Path) -> None:
    """A file has this path."""
    path.touch()
    with pytest.raises(TransportError, match=r"^spool='.*spool': is not a folder \(ENOTDIR\)"):
        spool(path)
    with pytest.raises(ValueError, match=r"^spool='a\\x00b': "):
        SpoolFolder("a\0b", MIB, [ADDRESS], MIB).check()


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400, 0o500, 0o600, 0o300])
def test_a_folder_must_be_listed_written_and_searched(of_nobody: Path, mode: int) -> None:
    """The error names the argument, and says what is missing."""
    of_nobody.chmod(mode)
    said = in_child(lambda: str(spool(of_nobody)), unprivileged=True)

    assert said.startswith(f"TransportError: spool='{of_nobody}': permission denied (EACCES)"), said
    assert "list, write and search" in said


def test_a_folder_for_other_addresses_is_refused_while_segments_lie_there(path: Path) -> None:
    """The order of the addresses does not matter; an empty folder is for anybody."""
    first = spool(path, MIB, "unix:///a", "unix:///b")
    segment = filled(first, 1)
    spool(path, MIB, "unix:///b", "unix:///a")
    with pytest.raises(ValueError, match=r"^spool='.*': segments for unix:///a, unix:///b lie"):
        spool(path, MIB, "unix:///a")
    segment.delete()
    spool(path, MIB, "unix:///a")

    assert (path / "addresses").read_text() == "unix:///a\n"
    # The first one is still there; it stores again only when nobody else does.
    second = spool(path, MIB, "unix:///a")
    other = filled(second, 2)
    with pytest.raises(TransportError, match=r"^spool='.*': segments for unix:///a lie there"):
        first.create()
    other.release()
    assert first.adopt() is None
    adopted(second).delete()
    first.create().delete()
    assert (path / "addresses").read_text() == "unix:///a\nunix:///b\n"


def test_any_address_can_be_remembered(path: Path) -> None:
    """Paths of sockets may have any characters but NUL."""
    odd = ("unix:///a\nb", "unix:///\u2028ü", os.fsdecode(b"unix:///\xff"))
    filled(spool(path, MIB, *odd), 1).release()
    spool(path, MIB, *odd)
    with pytest.raises(ValueError, match="lie there"):
        spool(path, MIB, "unix:///a", *odd[1:])


def test_names_are_ordered_also_if_the_clock_is_set_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of one process strictly increase, over all folders of it."""
    folders = spool(path), spool(path)
    made: List[Segment] = []
    times = itertools.count(time.time_ns(), -(10**9))
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    for number in range(20):
        made.append(folders[number % 2].create())

    assert names(path) == [each.name for each in made]
    assert made[0].name.endswith(f"-{os.getpid()}.fstrm")
    for each in made:
        each.delete()


def test_a_segment_ahead_of_another(path: Path) -> None:
    """Over and over, before the same one and before the new one, between its neighbours."""
    folder = spool(path)
    order = [folder.create(), folder.create(), folder.create()]
    for _ in range(6):
        order.insert(1, folder.create(before=order[1]))
        order.insert(len(order) - 1, folder.create(before=order[-1]))
        order.insert(0, folder.create(before=order[0]))

    assert names(path) == [each.name for each in order]
    for each in order:
        each.release()
    assert [each.name for each in adopt_all(folder)] == [each.name for each in order]


def test_size_and_room_follow_what_is_done(path: Path) -> None:
    """Own changes at once, those of others at the next look; other files count nowhere."""
    put(path, b"x" * 5000, "notes.txt")
    put(path, b"x" * 5000, "1-2.damaged")
    put(path, capture(payloads(0, 9)))
    folder, other = spool(path, MIB), spool(path, MIB)

    def real() -> int:
        return sum((path / name).stat().st_size for name in names(path))

    def check() -> None:
        assert (folder.size, folder.files) == (real(), len(names(path)))
        assert folder.room() == MIB - real() - 54

    check()
    segment = filled(folder, 1)
    check()
    segment.append(payloads(0, 100))
    check()
    segment.stop()
    check()
    found = adopted(folder)
    check()
    found.delete()
    check()
    others = filled(other, 1, 2, 3)
    assert folder.size < real()
    folder.look()
    check()
    os.unlink(segment.path)
    segment.delete()
    check()
    others.release()
    check_aside = adopted(folder)
    check_aside.set_aside()
    check()
    assert folder.size == folder.files == 0


def test_segments_shrink_with_the_spool(path: Path) -> None:
    """16 MiB of 1 GiB; as many of them whatever the size."""
    assert SpoolFolder(str(path), 1024 * MIB, [], MIB).segment_bytes == 16 * MIB
    assert SpoolFolder(str(path), MIB, [], MIB).segment_bytes == 16 * 1024


def test_the_number_of_segments_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many files there is room only in one that is there already."""
    monkeypatch.setattr(folder_module, "MAX_FILES", 3)
    folder = spool(path)
    made = [folder.create() for _ in range(3)]
    assert folder.room() > 0
    with pytest.raises(DiskFull, match=r"^spool='.*': has 3 segments"):
        folder.create()
    for each in made:
        each.stop()
    assert folder.room() == 0
    made[0].delete()
    assert folder.room() > 0
    folder.create().delete()
    for each in made[1:]:
        each.delete()


def test_the_oldest_segment_is_adopted_first(path: Path) -> None:
    """By the time in its name, not by its characters; locked ones are passed by."""
    for name in ("5-1.fstrm", "30-1.fstrm", "200-9.fstrm", "1700000000000000000-7.fstrm"):
        put(path, capture(payloads(0, 1)), name)
    folder, other = spool(path), spool(path)
    mine = filled(folder, 1)
    first, second = adopted(folder), adopted(other)

    assert (first.name, second.name) == ("5-1.fstrm", "30-1.fstrm")
    assert adopted(folder).name == "200-9.fstrm"
    second.release()
    assert adopted(folder).name == "30-1.fstrm"
    assert adopted(folder).name == "1700000000000000000-7.fstrm"
    assert folder.adopt() is other.adopt() is None
    mine.release()
    assert adopted(other).name == mine.name


def test_what_is_no_segment_is_not_adopted(path: Path, tmp_path: Path) -> None:
    """Other names, links, fifos and folders are left alone; empty files are cleared away."""
    folder = spool(path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(capture(payloads(0, 1)))
    (path / "1-1.fstrm").symlink_to(elsewhere)
    os.mkfifo(path / "2-1.fstrm")
    (path / "3-1.fstrm").mkdir()
    put(path, b"", "4-1.fstrm")
    for name in ("5-1.fstrm.damaged", "5-1.damaged", "x-1.fstrm", "5.fstrm", "notes", "5-1.fstrm~"):
        put(path, capture([]), name)
    there = {each.name for each in path.iterdir()} - {"4-1.fstrm"}

    assert folder.adopt() is None
    assert {each.name for each in path.iterdir()} == there
    assert elsewhere.exists()


def test_what_a_killed_process_left_half_made_is_cleared_away(path: Path) -> None:
    """A file without its whole START never had the name of a segment."""
    folder = spool(path)
    put(path, b"\0\0", "9-1.fstrm.new")
    put(path, capture([]))

    adopted(folder).delete()
    assert [each.name for each in path.iterdir()] == ["addresses"]


def test_a_folder_that_was_deleted_is_made_again(path: Path) -> None:
    """By somebody who wanted the room back while the handler lives."""
    folder = spool(path)
    segment = filled(folder, 1)
    for each in path.iterdir():
        each.unlink()
    path.rmdir()
    segment.delete()
    folder.look()
    assert (folder.size, folder.files, folder.adopt()) == (0, 0, None)

    segment = filled(folder, 2)
    segment.release()
    assert read_whole(Path(segment.path)) == payloads(2, 3)
    assert (path / "addresses").read_text() == f"{ADDRESS}\n"


def test_what_cannot_be_deleted_is_not_adopted_again(of_nobody: Path) -> None:
    """In a folder that became read-only, its frames would go out over and over."""

    def delete() -> str:
        folder = spool(of_nobody)
        segments = [filled(folder, 1), filled(folder, 2)]
        of_nobody.chmod(0o500)
        segments[0].delete()
        aside = segments[1].set_aside()
        assert aside == segments[1].path
        found = folder.adopt()
        of_nobody.chmod(0o700)
        return f"{found} {os.path.getsize(segments[0].path)} {folder.files}"

    assert in_child(delete, unprivileged=True) == "None 0 2"


def test_a_forked_child_lets_its_parent_go_on(path: Path) -> None:
    """The child has no descriptor, adopts nothing that its parent holds, and makes its own."""
    segment = filled(spool(path), 1)

    def child() -> str:
        folder = spool(path)
        assert segment._transport.fileno() == -1
        segment.abandon()
        assert segment._folder.held == segment._folder.tails == set()
        assert folder.adopt() is None
        own = filled(folder, 2)
        assert own.name.endswith(f"-{os.getpid()}.fstrm")
        return own.name

    name = in_child(child)
    segment.append(payloads(3, 4))
    assert [*map(all_of, adopt_all(spool(path)))] == [payloads(2, 3)]
    segment.release()
    assert read_whole(Path(segment.path)) == [*payloads(1, 2), *payloads(3, 4)]
    assert names(path) == sorted([segment.name, name])


def test_handlers_of_one_process_make_segments_at_the_same_time(path: Path) -> None:
    """In as many threads: no two get the same name, and none clears away another's new file."""

    def work() -> None:
        folder = spool(path)
        made = [filled(folder, 1) for _ in range(50)]
        for each in made:
            assert folder.adopt() is None
            each.stop()
        kept.extend(made)

    kept: List[Segment] = []
    with Workers(*[work] * 4) as workers:
        workers.join()
    workers.check()

    assert len({each.name for each in kept}) == 200
    assert names(path) == sorted(each.name for each in kept)
    assert all(all_of(each) == payloads(1, 2) for each in kept)
    for each in kept:
        each.release()
