"""Kafka's side of a handler: settings, records and errors of librdkafka's producer."""
