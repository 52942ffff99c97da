"""Filters for dns records: ordinary `logging.Filter`s, in code or in dictConfig.

    "filters": {"ours": {"()": "dnstap_logging.filters.QnameFilter", "include": ["example.org"]}}

`MessageTypeFilter`, `QnameFilter`, `RcodeFilter` and `SamplingFilter` choose records, on loggers
and on handlers of any kind; a record without dns extras passes them. `AnonymizingFilter` changes
records, and works on dnstap handlers only.

They run in the threads that log. A wrong argument is a TypeError or ValueError of the constructor;
a record never makes them raise.
"""

from __future__ import annotations

from .anonymizing import AnonymizingFilter
from .message_type import MessageTypeFilter
from .qname import QnameFilter
from .rcode import RcodeFilter
from .sampling import SamplingFilter

__all__ = [
    "AnonymizingFilter",
    "MessageTypeFilter",
    "QnameFilter",
    "RcodeFilter",
    "SamplingFilter",
]
