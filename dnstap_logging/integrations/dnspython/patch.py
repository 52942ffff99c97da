"""dns.query's functions: the originals, and what replaces them while a context asks for it.

The replacements call the clients of `client.py`. Other parts of a program can notice only the
replacements, and only while such a context lasts.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import Any, Callable, Dict, Iterator, List

import dns.query

__all__ = ["Ask", "original", "patched"]

PATCHED = ("udp", "tcp", "tls", "https")
"""The functions that are replaced. dns.query's own udp_with_fallback calls the first two."""

Ask = Callable[..., Any]

_patching = threading.Lock()
_patchers: List[object] = []  # the clients whose contexts last, the latest at the end
_originals: Dict[str, Ask] = {}  # of the functions that are replaced


def original(name: str) -> Ask:
    """Return the original of a function of dns.query."""
    return _originals.get(name) or getattr(dns.query, name)


@contextlib.contextmanager
def patched(client: object) -> Iterator[None]:
    """Have dns.query's functions be a client's methods of the same names, for all threads."""
    with _patching:
        _patchers.append(client)
        _install()
    try:
        yield
    finally:
        with _patching:
            _patchers.remove(client)
            if not _patchers:
                _uninstall()


def _install() -> None:
    for name in PATCHED:
        if name not in _originals:
            _originals[name] = getattr(dns.query, name)
            setattr(dns.query, name, _dispatcher(name, _originals[name]))


def _uninstall() -> None:
    for name, replaced in list(_originals.items()):
        if getattr(getattr(dns.query, name), "is_dnstap", False):
            setattr(dns.query, name, replaced)
            del _originals[name]
        # Otherwise other code has replaced our function and may still call it: it stays, and only
        # calls the original while there is no context.


def _dispatcher(name: str, replaced: Ask) -> Ask:
    @functools.wraps(replaced)
    def ask(*args: Any, **kwargs: Any) -> Any:
        try:
            client = _patchers[-1]
        except IndexError:
            return replaced(*args, **kwargs)
        return getattr(client, name)(*args, **kwargs)

    ask.is_dnstap = True  # type: ignore[attr-defined]
    return ask
