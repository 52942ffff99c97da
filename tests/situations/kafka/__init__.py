"""Handlers that write to Kafka, and what brokers do to them."""
