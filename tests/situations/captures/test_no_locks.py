"""File systems without locks: captures work there, but two writers can mix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.situations.life.scripts import marks, run

NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = %s; return -1; }
"""

SCRIPT = """
said = []
class Said(logging.Handler):
    def emit(self, record):
        said.append((record.levelname, record.getMessage()))
logging.getLogger("dnstap_logging").addHandler(Said())
handler = attach(sys.argv[1], report_interval=0)
deadline = time.monotonic() + 60
while not said and time.monotonic() < deadline:
    time.sleep(0.01)                    # before there is a record
for number in range(3):
    log(number)
    assert handler.flush()
    os.rename(sys.argv[1], f"{sys.argv[1]}.{number}")
    handler.reopen()
handler.close()
print(json.dumps({"said": said, "stats": books(handler)}))
"""


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def _no_locks(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make the programs of this test see file systems without locks.

    None here lacks them, so the C library's own function is replaced by one that says so.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "flock.c").write_text(NO_LOCKS % request.param)
    library = tmp_path / "flock.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "flock.c")], check=True
    )
    monkeypatch.setenv("LD_PRELOAD", str(library))


@pytest.mark.usefixtures("_no_locks")
def test_a_missing_lock_is_said_once(tmp_path: Path) -> None:
    """One warning when the handler is made, none at each further file; the captures are whole."""
    capture = tmp_path / "capture.fstrm"

    found = run(SCRIPT, capture)

    warnings = [text for level, text in found["said"] if level == "WARNING"]
    assert len(warnings) == 1, found
    assert warnings[0].startswith(f"file://{capture}: the file cannot be locked, "), warnings
    assert found["stats"]["written"] == 3
    assert [marks(tmp_path / f"capture.fstrm.{number}") for number in range(3)] == [
        ["0"],
        ["1"],
        ["2"],
    ]
