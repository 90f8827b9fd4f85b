"""What a capture says of mobility: files to packets, packets to descriptions, and to words."""
