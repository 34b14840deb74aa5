"""storage.catalog."""
