"""`python -m narfi.cli`."""

from narfi.cli.entry import main

main()
