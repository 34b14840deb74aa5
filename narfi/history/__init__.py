"""How do logs of before come in? Pages of a source, pushed and noted, each entry once."""
