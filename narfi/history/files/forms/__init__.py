"""Which forms of files are there? One a file, each reads lines into records."""
