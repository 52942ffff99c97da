"""Dns extras one level down, where loguru and structlog put what a call says.

A record of loguru has its extras in the dict ``record.extra``, one of structlog's
``wrap_for_formatter`` has the dict of the event as ``record.msg``. Runs in the threads that log,
after a look at the record itself has found no dns extras.
"""

from __future__ import annotations

import copy
import logging
from typing import Dict, Mapping, Optional

from ..interrupts import pass_on
from .fields import PREFIX

__all__ = ["lift", "nested_extras"]

_PLACES = ("extra", "msg")


def nested_extras(record_dict: Mapping[str, object]) -> Optional[Dict[object, object]]:
    """Return the dict inside a record's dict that has dns extras, or None; never raise."""
    extra = record_dict.get("extra")
    if type(extra) is dict and _has_dns_keys(extra):
        return extra
    message = record_dict.get("msg")
    if type(message) is dict and _has_dns_keys(message):
        return message
    return None


def lift(record: logging.LogRecord) -> Optional[logging.LogRecord]:
    """Return a copy of a record with the dns extras from one level down; None if there are none.

    They are moved, not copied: a filter that hides them in the copy must not leave others behind.
    """
    found = nested_extras(record.__dict__)
    if found is None:
        return None
    try:
        lifted = copy.copy(record)
        values = lifted.__dict__
        place = next(name for name in _PLACES if values.get(name) is found)
        values[place] = {key: value for key, value in found.items() if not _is_dns_key(key)}
        for key, value in found.items():
            if _is_dns_key(key):
                values[str(key)] = value
    except BaseException as error:  # noqa: BLE001 - a dict that another thread changes, or the like
        pass_on(error)
        return None
    return lifted


def _has_dns_keys(values: Dict[object, object]) -> bool:
    try:
        return any(map(_is_dns_key, values))
    except BaseException as error:  # noqa: BLE001 - a dict that another thread changes, or the like
        pass_on(error)
        return False


def _is_dns_key(key: object) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)
