"""Makes `python -m search` the same as `kd-search`, for places where no script is installed (a cluster's job)."""

from search.cli import main

if __name__ == "__main__":
    main()
