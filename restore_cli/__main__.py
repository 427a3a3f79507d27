"""`python -m restore_cli`."""

from restore_cli.cli import main

main()
