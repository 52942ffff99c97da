"""Messages out of captures and streams."""
