"""What a DNS message and its names say, read from the wire."""
