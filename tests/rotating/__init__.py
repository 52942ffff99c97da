"""Captures that roll over: by the library, and by others."""
