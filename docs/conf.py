"""How Sphinx builds the manual: `make docs`.

The source folder is the top of the repository, so that the README, the changelog and the examples
are pages of the manual where they stand, and a link that works on a code host works here too.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, List, Optional

from docutils.nodes import Element, Node
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from dnstap_logging import __version__

project = "dnstap-logging"
author = "the dnstap_logging contributors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/**.md",
]
exclude_patterns = ["docs/_build", ".venv*", ".git", "tests", "dnstap_logging", "build"]

# Markdown as code hosts show it: links name files, and headings have the anchors that these have
# there.
myst_heading_anchors = 4

# The docstrings are Google's style. What stands in single backquotes there is code, and a link
# where it is the name of something that is documented.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False

# Every reference to a name of ours must lead somewhere. Those of the standard library and of other
# libraries would need their inventories from the network; and what stands in backquotes may be any
# piece of code.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    (r"py:.*", rf"({'|'.join(sorted(sys.stdlib_module_names))})(\..*)?"),
    (r"py:.*", r"(dns|dnslib|prometheus_client)\..*|IPv[46]Address|DNSError"),
    # What a keyword or an argument may be is said in words where it is documented.
    (
        r"py:class",
        r"(.*\.)?(\w+Source|\w+Keywords|FileArguments|Octets|SupportsToWire|Default|ResolverT)",
    ),
]

html_theme = "furo"
html_title = f"dnstap-logging {__version__}"
html_show_sourcelink = False
html_copy_source = False
templates_path = ["_templates"]
html_additional_pages = {"index": "front.html"}
highlight_language = "none"


def name_where_classes_are() -> None:
    """Let autodoc find the sources of public classes, whose module is shown as the package."""
    root = Path(__file__).parents[1]
    for path in (root / "dnstap_logging").rglob("*.py"):
        source = path.read_text("utf-8")
        if '__module__ = "' in source:
            module = import_module(".".join(path.relative_to(root).with_suffix("").parts))
            for name in re.findall(r"^class (\w+)", source, re.MULTILINE):
                getattr(module, name).__module__ = module.__name__


def keep_the_first_line(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: List[str]
) -> None:
    """Stop napoleon from taking what stands before a colon in a property's docstring for a type.

    It looks at the first line, which is an empty comment now.
    """
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]


def find_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: Element, contnode: Node
) -> Optional[Node]:
    """Find what a docstring names without its module, as the code there does."""
    if node.get("refdomain") != "py":
        return None
    last = "." + str(node.get("reftarget", "")).rpartition(".")[2]
    found = [
        (name, entry) for name, entry in env.get_domain("py").objects.items() if name.endswith(last)
    ]
    if len(found) != 1:
        return None
    name, entry = found[0]
    return make_refnode(
        app.builder, str(node["refdoc"]), entry.docname, entry.node_id, contnode, name
    )


def setup(app: Sphinx) -> None:
    """Connect them; before napoleon's, which has the default priority of 500."""
    name_where_classes_are()
    app.connect("autodoc-process-docstring", keep_the_first_line, priority=400)
    app.connect("missing-reference", find_by_last_name)
