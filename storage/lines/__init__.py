"""storage.lines."""
