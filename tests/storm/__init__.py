"""What happens when many senders come back to one collector: simulated, and beside it for real."""
