"""Measures a long search: does a trial's price, or the driver's memory, grow with the trials before it?

    python benchmarks/scale.py --trials 1000 --write

Every trial passes through all that a search has (Tune, checkpoints, snapshots, records, MLflow, the live table), but
its student trains for six epochs only. The tables are those of `benchmarks/overhead.py`, by fifths of the search.
Afterwards reading the search back and writing its report are timed.
"""

from __future__ import annotations

import argparse
import time

from overhead import places, search, short_search, table
from results import conditions, write_section


def section(trials: int) -> str:
    """Run a search of so many trials, read it back and report it; return the section of the results."""
    from search.run import publish_report
    from search.store import SearchStore, read_search

    with places() as launch:
        config = short_search(trials)
        follower, costs = search(config, launch)
        began = time.process_time()
        record = read_search(SearchStore(launch.storage, config.name))
        read = time.process_time()
        publish_report(record, launch)
        reported = time.process_time()
    return "\n".join(
        [
            f"{len(follower.ends)} trials, one at a time. {conditions()}.",
            "",
            *table(follower.ends, costs),
            "",
            f"Reading the search back took {read - began:.1f} s of CPU, its report {reported - read:.1f} s.",
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md, too")
    arguments = parser.parse_args()
    text = section(arguments.trials)
    print(text)
    if arguments.write:
        write_section("A search of many trials", text)


if __name__ == "__main__":
    main()
