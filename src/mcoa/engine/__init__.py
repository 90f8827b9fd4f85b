"""Protocol roles without I/O: home agent and mobile node."""
