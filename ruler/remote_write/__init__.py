"""How do recorded series reach Prometheus and its kin? A queue on disk, and a thread a receiver."""
