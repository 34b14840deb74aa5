"""How are stored lines asked in SQL? DuckDB over the Parquet files of visible blocks."""
