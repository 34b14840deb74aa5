"""One rewrite of the plan a file; `order.py` lists them."""
