"""What is in the logs? Fields, patterns, volumes, sums."""
