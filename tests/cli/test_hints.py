"""Slips on the command line, and the hints that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.programs import run
from tests.cli.running import call


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("raed x", "read"),
        ("Listen unix:///x", "listen"),
        ("read --jsn x", "--json"),
        ("read --folow x", "--follow"),
        ("send --raet=3 x y", "--rate"),
        ("read --type CLIENT_QEURY x", "CLIENT_QUERY"),
        ("read --type client_reponse x", "CLIENT_RESPONSE"),
        ("top --type CQ,RESOLVR_QUERY x", "RESOLVER_QUERY"),
    ],
)
def test_what_was_meant_is_named(line: str, meant: str) -> None:
    """A misspelt command, option or message type: one line with the right one, and status 2."""
    outcome = call(*line.split())

    assert outcome.status == 2
    assert f", did you mean {meant!r}?" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("line", ["zzzz", "read --zzzz x", "read --type zzzz x"])
def test_nothing_is_guessed_where_nothing_is_near(line: str) -> None:
    """A wrong hint would be worse than none."""
    outcome = call(*line.split())

    assert outcome.status == 2
    assert "did you mean" not in outcome.err


def test_a_missing_folder_is_named_as_the_handler_does(tmp_path: Path) -> None:
    """`listen` on a unix socket: what is missing is the folder, and it can be made."""
    done = run(tmp_path, "listen", f"unix://{tmp_path}/missing/tap.sock")

    assert done.returncode == 2
    assert "the directory does not exist (ENOENT); create it first" in done.stderr
    (tmp_path / "file").touch()
    done = run(tmp_path, "listen", f"unix://{tmp_path}/file/tap.sock")
    assert done.returncode == 2
    assert "a part of this path is not a directory (ENOTDIR)" in done.stderr
