"""One file per subcommand; a folder per group."""
