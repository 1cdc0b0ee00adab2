"""Tells whether a storage can be written, and whether all nodes of a cluster see the same one."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

from search.errors import SearchError
from search.store import SearchStore

_SECONDS_TO_LOOK = 60.0


def check_writable(store: SearchStore) -> None:
    """Write a file into the storage and delete it.

    Raises:
        SearchError: that did not work.
    """
    with _marker(store):
        pass


def check_shared(store: SearchStore) -> None:
    """Let every node of the cluster that this process has joined look for a file in the storage.

    Folders only: a URI names the same place everywhere. A node that does not get round to looking is passed over.

    Raises:
        SearchError: the storage cannot be written, or some nodes do not see what was written.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if "://" in store.storage or len(nodes) < 2:
        return

    def look(path: str) -> bool:  # nested, so that it travels by value
        import os
        import time

        for _ in range(10):  # a network's file system may show a new file a little later
            if os.path.exists(path):
                return True
            time.sleep(0.5)
        return False

    with _marker(store) as path:
        looks = {
            ray.remote(num_cpus=0, max_retries=0)(look)
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            .remote(path): node["NodeManagerAddress"]
            for node in nodes
        }
        done, _ = ray.wait(list(looks), num_returns=len(looks), timeout=_SECONDS_TO_LOOK)
        blind = []
        for answer in done:
            with contextlib.suppress(ray.exceptions.RayError):  # a node that was lost meanwhile
                if not ray.get(answer):
                    blind.append(looks[answer])
    if blind:
        hosts = ", ".join(sorted(set(blind)))
        raise SearchError(
            f"`--storage` {store.storage!r} must be shared by all nodes, but what the driver writes there is not seen"
            f" on: {hosts}. Give a folder that is mounted on every node (NFS, say), or an s3:// URI."
        )


@contextlib.contextmanager
def _marker(store: SearchStore) -> Iterator[str]:
    folder = store.folder.rpartition("/")[0]
    path = f"{folder}/.kd-search-{uuid.uuid4().hex}"
    try:
        store.filesystem.create_dir(folder, recursive=True)
        with store.filesystem.open_output_stream(path) as stream:
            stream.write(b"written by a search to see who can read it\n")
    except OSError as error:
        raise SearchError(
            f"`--storage` {store.storage!r} cannot be written: {error}. Make it writable, or give another place."
        ) from error
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            store.filesystem.delete_file(path)
