"""When captures roll over, and under which names."""
