"""Faults: what the kernel tells of a broken connection, and what is delivered across one."""
