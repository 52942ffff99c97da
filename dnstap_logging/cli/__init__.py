"""The command line: ``dnstap-logging`` and ``python -m dnstap_logging``.

`main.py` chooses the command; each command is a module with ``add_arguments`` and ``run``. What is
shared by several stands in `common.py`. Third-party libraries are imported where they are used.
"""
