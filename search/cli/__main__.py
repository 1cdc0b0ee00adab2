"""`python -m search.cli`: the same as `kd-search`."""

from search.cli import main

main()
