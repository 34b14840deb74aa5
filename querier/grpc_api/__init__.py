"""The querier as a client of other processes."""
