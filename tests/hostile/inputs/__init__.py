"""The table of hostile inputs: each module of this package has a tuple `INPUTS`."""
