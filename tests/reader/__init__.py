"""The reader: captures, frames, sockets, and files that are being written."""
