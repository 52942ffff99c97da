"""Setuptools needs this call for editable installs with an old pip; setup.cfg says the rest."""

from setuptools import setup

setup()
