"""Capture files: their frames, their end, and when they roll over."""
