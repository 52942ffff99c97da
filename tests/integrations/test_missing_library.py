"""Libraries that are not installed: nobody needs them before using them, and the error helps."""

from __future__ import annotations

import pytest

from tests.helpers.programs import run_python


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("dnslib", "dnslib", "dnslib"),
        ("dnspython", "dns", "dnspython"),
        ("prometheus", "prometheus_client", "prometheus"),
    ],
)
def test_missing_library_names_the_extra(module: str, library: str, extra: str) -> None:
    """Importing an integration without its library says what to install."""
    code = f"import sys; sys.modules[{library!r}] = None\n"

    done = run_python(f"{code}import dnstap_logging.integrations.{module}")

    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: dnstap_logging.integrations.{module} needs "), last
    assert last.endswith(f": install it, or dnstap-logging with its extra '{extra}'"), last


def test_the_package_and_the_mixin_need_nothing() -> None:
    """Importing the package of integrations, or the one for socketserver, imports no library."""
    done = run_python(
        "import sys, dnstap_logging.integrations, dnstap_logging.integrations.socketserver\n"
        "print(sorted({'dns', 'dnslib', 'prometheus_client', 'httpx', 'ssl'} & set(sys.modules)))"
    )

    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
