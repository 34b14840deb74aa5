"""In which forms do all lines of a query leave? A form a file, and who makes the answer of them."""
