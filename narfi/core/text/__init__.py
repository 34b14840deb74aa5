"""narfi.core.text."""
