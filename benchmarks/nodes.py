"""Measures whether a trial costs more on several nodes than on one.

    python benchmarks/nodes.py --write

A search of digits-quick runs on a Ray cluster of 1, 2 and 4 nodes that share this machine and its cores. Four trials
run at a time, so that only the number of nodes differs. Each search is a process of its own, with a cluster of its own
(`ray.cluster_utils.Cluster`). The teacher is cached before. The numbers of nodes take turns. A trial's price is the
wall time from the end of the first quarter of the trials to the last one's, divided by the trials; the start is left
out.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from results import conditions, write_section

from search.cli.progress import TerminalListener
from search.cluster import let_threads_sleep
from search.records import TrialRecord
from search.settings import Launch, default_cache

NODES = (1, 2, 4)
SLOTS = 4
"""Trials at a time, over all nodes."""


class Ends(TerminalListener):
    """Notes when each trial ended."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(file=open(os.devnull, "w")))  # noqa: SIM115
        self.seconds: list[float] = []

    def trial(self, record: TrialRecord) -> None:
        super().trial(record)
        if record.status == "finished":
            self.seconds.append(time.monotonic())


def price(nodes: int, trials_per_family: int, cache: pathlib.Path) -> float:
    """Return the seconds a trial of a search on so many nodes, started and ended here; needs its own process."""
    import ray
    from ray.cluster_utils import Cluster

    from search.cluster import alive_nodes
    from search.run import run_search
    from search.settings import load_config

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": SLOTS // nodes})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=SLOTS // nodes)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    ends = Ends()
    try:
        found = [int(node["Resources"].get("CPU", 0)) for node in alive_nodes()]
        if found != [SLOTS // nodes] * nodes:
            raise RuntimeError(f"{nodes} nodes of {SLOTS // nodes} CPUs were started, but there are {found}")
        config = load_config("digits-quick", [f"name=nodes-{nodes}", f"trials_per_family={trials_per_family}"])
        with tempfile.TemporaryDirectory(prefix="kd-search-", ignore_cleanup_errors=True) as folder:
            launch = dataclasses.replace(Launch.on_this_machine(pathlib.Path(folder), cache), address=cluster.address)
            done = run_search(config, launch, ends)
    finally:
        ray.shutdown()
        cluster.shutdown()
    if len(done.search.finished) != len(done.search.trials):
        raise RuntimeError(f"{len(done.search.trials) - len(done.search.finished)} trials did not finish")
    first = len(ends.seconds) // 4
    return (ends.seconds[-1] - ends.seconds[first]) / (len(ends.seconds) - 1 - first)


def section(rounds: int, trials_per_family: int, cache: pathlib.Path) -> str:
    """Return the table: seconds a trial, and the ratios to one node of the same round."""
    found: dict[int, list[float]] = {nodes: [] for nodes in NODES}
    common = ["--trials-per-family", str(trials_per_family), "--cache", str(cache)]
    for number in range(rounds):
        for nodes in NODES if number % 2 == 0 else reversed(NODES):
            command = [sys.executable, __file__, "--once", str(nodes), *common]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[nodes].append(float(done.stdout.split()[-1]))
    rows = []
    for nodes, seconds in found.items():
        ratios = [many / one for many, one in zip(seconds, found[1], strict=True)]
        low, high = np.percentile(ratios, [25, 75])
        spread = f"{statistics.median(ratios):.2f} [{low:.2f} to {high:.2f}]" if nodes > 1 else "1"
        rows.append(f"| {nodes} | {SLOTS // nodes} | {1e3 * statistics.median(seconds):.0f} | {spread} |")
    return "\n".join(
        [
            f"digits-quick, {6 * trials_per_family} trials of three seeds, four at a time over all nodes, which share"
            f" this machine; {rounds} rounds in turn. {conditions()}.",
            "",
            "| nodes | trials at a time on each | wall time a trial, ms | to one node |",
            "| ---: | ---: | ---: | --- |",
            *rows,
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials-per-family", type=int, default=12, help="for each of the recipe's six families")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache())
    parser.add_argument("--write", action="store_true", help="into RESULTS.md, too")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    let_threads_sleep()  # as the command line does; the processes started here inherit it
    if arguments.once is not None:
        print(price(arguments.once, arguments.trials_per_family, arguments.cache))
        return
    text = section(arguments.rounds, arguments.trials_per_family, arguments.cache)
    print(text)
    if arguments.write:
        write_section("One node and several", text)


if __name__ == "__main__":
    main()
