"""How does a line get from a file to a push? The agent of a node, configured as Promtail is."""
