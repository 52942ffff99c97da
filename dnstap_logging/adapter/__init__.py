"""The typed way to log: `DnstapAdapter`, one method for each message type."""
