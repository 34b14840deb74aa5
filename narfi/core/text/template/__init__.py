"""The template language of `line_format` and `label_format` (reference/logql.md §8)."""
