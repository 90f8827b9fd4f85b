"""Test networks: simulated in virtual time, and real ones of network namespaces."""
