"""How do entries reach the server? Batches, and a sender that keeps their order."""
