"""Capture files as docs/captures.md promises them: continued, killed, full disks, processes."""
