"""How are metric queries answered? Samples, windows, matrices."""
