"""Benchmarks: how fast this machine signals, side by side with what others do here."""
