"""storage.journal."""
