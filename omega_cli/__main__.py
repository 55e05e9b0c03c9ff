"""`python -m omega_cli`: the `omega` command."""

from omega_cli.app import main

main()
