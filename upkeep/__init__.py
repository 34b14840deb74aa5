"""How do stored blocks stay few, young and needed? Deletes, compaction, retention, garbage."""
