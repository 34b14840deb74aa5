"""narfi.core.wire."""
