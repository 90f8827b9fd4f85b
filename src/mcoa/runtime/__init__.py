"""The only package with sockets, a clock, operating-system randomness, netlink and files."""
