"""Lets `python -m mcoa` be the command `mcoa`."""

from mcoa.cli import main

main()
