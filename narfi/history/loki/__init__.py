"""How is a running server asked for all that it has? Page by page over Loki's query API."""
