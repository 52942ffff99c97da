"""The life of a program around a handler: forks, ends, signals, greenlets, and many days of it."""
