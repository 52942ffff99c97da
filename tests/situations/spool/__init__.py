"""Handlers with a spool while collectors, programs and disks come and go."""
