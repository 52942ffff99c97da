"""What lies on disk: the frames of a capture, its end, and when it rolls over."""
