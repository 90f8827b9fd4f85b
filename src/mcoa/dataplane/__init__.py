"""Forwarding of user packets: which path a packet takes, and its tunnel."""
