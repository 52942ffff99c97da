"""dnstap for Python programs, in the manner of the standard library's logging."""
