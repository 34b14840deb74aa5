"""Format 3: families of shapes over shared columns, what every row has once, and one index."""
