"""What a node remembers: containers without decisions."""
