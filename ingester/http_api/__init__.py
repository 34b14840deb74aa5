"""HTTP routes of the write path."""
