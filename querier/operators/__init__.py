"""querier.operators."""
