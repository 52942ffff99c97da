"""Transports: bytes to a file, or to and from a stream socket.

A transport belongs to one thread: the writer thread, or that of a receiver's connection. It knows
nothing of Frame Streams, and no call takes longer than its timeout. Unix, TCP and TLS differ only
in how they are connected.
"""
