"""querier.plan.rules."""
