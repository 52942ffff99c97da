"""From the queue to the destination: what the writer thread does."""
