"""Forks, threads and the end of the process."""
