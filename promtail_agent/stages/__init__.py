"""What happens to a line before it is pushed? One stage a file, listed in registry.py."""
