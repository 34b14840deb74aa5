"""Where do lines come from? One kind of source a file."""
