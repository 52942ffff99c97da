"""docs/install.md: its versions and its extras are those of setup.cfg."""

from __future__ import annotations

import configparser

from tests.helpers.pages import DOCS, REPOSITORY, example, names, rows_of

PAGE = (DOCS / "install.md").read_text(encoding="utf-8")
SETUP = configparser.ConfigParser()
SETUP.read(REPOSITORY / "setup.cfg", encoding="utf-8")
COMMAND = example("install.md", "sh")


def test_extras_are_those_of_the_package() -> None:
    """The table has every extra, once."""
    listed = [name for row in rows_of(PAGE, "extra") for name in names(row[0])]

    assert sorted(listed) == sorted(SETUP["options.extras_require"])


def test_versions_are_those_of_the_package() -> None:
    """What the page says that the package needs is what pip will ask for."""
    python = SETUP["options"]["python_requires"].lstrip(">=")
    (protobuf,) = SETUP["options"]["install_requires"].split()

    assert f"Python {python} or newer" in PAGE
    assert f"`protobuf` {protobuf.replace('protobuf>=', '')} or newer" in " ".join(PAGE.split())


def test_the_command_installs_what_is_here() -> None:
    """The package is not on an index: the command installs the clone, as the README's does.

    .ci/run runs it on every Python.
    """
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")

    assert COMMAND == "python -m pip install .\n"
    assert f"```sh\n{COMMAND}```" in readme
