"""How do lines become typed columns? Cut, group, infer, encode."""
