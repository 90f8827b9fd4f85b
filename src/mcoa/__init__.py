"""Multiple care-of address registration for Mobile IPv6 (RFC 5648)."""

__version__ = "0.1.0.dev0"
