"""Programs that run in a namespace, load the network, and print one JSON result."""
