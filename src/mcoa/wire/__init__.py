"""Bytes to frozen values and back: Mobile IPv6 messages, options and headers."""
