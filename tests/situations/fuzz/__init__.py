"""Hostile bytes: what holds for every input, tried by hypothesis in the tests and by atheris."""
