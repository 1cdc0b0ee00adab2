"""`kd-search`: the command line. A command's module is imported when the command is called."""

from search.cli.program import main

__all__ = ["main"]
