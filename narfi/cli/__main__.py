"""`python -m narfi.cli`."""

from narfi.cli.main import main

main()
