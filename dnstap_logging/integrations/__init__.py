"""dnstap for the libraries that DNS programs are made of, one module for each.

Each module imports its library itself; importing this package imports none.
"""
