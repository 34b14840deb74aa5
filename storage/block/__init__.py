"""storage.block."""
