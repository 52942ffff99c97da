"""Messages and records to Dnstap payloads, and back."""
