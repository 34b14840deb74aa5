"""querier.executors."""
