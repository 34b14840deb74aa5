"""querier.plan."""
