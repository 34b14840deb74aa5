"""gRPC services of the write path."""
