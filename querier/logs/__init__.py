"""How are log queries answered? Search, streams, following."""
