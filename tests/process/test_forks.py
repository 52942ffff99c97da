"""Whether this process is a forked child: asked for every record, so it is a page of memory."""

from __future__ import annotations

import sys

import pytest

from dnstap_logging.process import forks
from tests.helpers.programs import run_python


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MADV_WIPEONFORK is Linux's")
def test_the_page_is_used_where_the_kernel_has_it() -> None:
    """On Linux no record costs a system call for it."""
    assert not isinstance(forks.here, forks._Process)


SCRIPT = """
import os
from dnstap_logging.process import forks

here = forks.{make}()
here[0] = 1
child = os.fork()
if child == 0:
    seen = [bool(here[0])]
    here[0] = 1
    print(seen[0], bool(here[0]), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(bool(here[0]))
"""


@pytest.mark.parametrize("make", ["_make_page", "_Process"])
def test_a_forked_child_is_seen_until_it_has_settled(make: str) -> None:
    """A fork is seen until the child marks itself; the parent is not affected."""
    script = SCRIPT.format(make=make)
    printed = run_python(script)

    assert (printed.stdout, printed.stderr) == ("False True\nTrue\n", "")
