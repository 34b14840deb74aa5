"""querier.http_api."""
