"""What errors are called, where the real thing cannot be had on one machine."""

from __future__ import annotations

import errno
import os
import ssl

import pytest

from dnstap_logging.transport.reasons import explain, explain_unix_connect


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ETIMEDOUT, "does not answer"),
        (errno.EHOSTUNREACH, "no route to this host"),
        (errno.ENETUNREACH, "no route to this network"),
        (errno.ENOSPC, "no space left on the device"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
    ],
)
def test_errors_of_the_system(code: int, text: str) -> None:
    """The reason is in words and ends with the errno's name, for those who search for it."""
    reason = explain(OSError(code, os.strerror(code)))

    assert text in reason
    assert reason.endswith(f"({errno.errorcode[code]})")


def test_an_unknown_errno() -> None:
    """A number that this Python has no name for is given as it is."""
    assert explain(OSError(99999, "strange")).endswith("(99999)")


def test_an_error_without_a_number() -> None:
    """An OSError with a text only, or with nothing, still says something."""
    assert explain(OSError("cannot")) == "cannot"
    assert explain(OSError()) == "OSError"


def test_errors_of_tls_are_not_taken_for_errnos() -> None:
    """SSL_ERROR_SSL is 1 and EPERM is too: the one is not called the other."""
    # As the ssl module raises it, without the reason that OpenSSL gives.
    reason = explain(ssl.SSLError(1, "strange"))

    assert reason.startswith("TLS failed")
    assert "strange" in reason


def test_unix_errors_without_a_text_of_their_own() -> None:
    """What is not special to unix sockets is explained as everywhere."""
    assert "EMFILE" in explain_unix_connect(OSError(errno.EMFILE, "x"), "/run/x")
    assert "gone" not in explain_unix_connect(OSError(errno.ECONNREFUSED, "x"), "/absent")
