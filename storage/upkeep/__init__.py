"""How do stored blocks stay few, young and needed? Compaction, retention, garbage."""
