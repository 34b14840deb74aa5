"""narfi.core.kernels."""
