"""Checks whether a storage can be written, and whether all nodes of a cluster see the same files."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow

from search.errors import SearchError
from search.store import SearchStore
from trainables.pictures import MappedImages

_SECONDS_TO_LOOK = 60.0


def check_writable(store: SearchStore, option: str = "--storage") -> None:
    """Write a file into the storage and delete it.

    Args:
        store: of a search there.
        option: the one that names the storage, for the message.

    Raises:
        SearchError: the file cannot be written.
    """
    with _marker(store, option):
        pass


def check_shared(store: SearchStore) -> None:
    """Let every node of the cluster that this process has joined look for a file in the storage.

    Only folders are checked, since a URI names the same place everywhere.

    Raises:
        SearchError: the storage cannot be written, or some nodes do not see what was written.
    """
    if "://" in store.storage or len(alive_nodes()) < 2:
        return
    with _marker(store) as path:
        blind = _blind_nodes(path)
    if blind:
        raise SearchError(
            f"`--storage` {store.storage!r} must be shared by all nodes, but a file of the driver is not visible"
            f" on: {', '.join(blind)}. Give a folder that is mounted on every node (e.g. NFS), or an s3:// URI."
        )


def check_pictures_shared(images: MappedImages) -> None:
    """Let every node of the cluster look for the file that pictures are mapped from.

    Raises:
        SearchError: some nodes do not see it.
    """
    if blind := _blind_nodes(images.folder):
        raise SearchError(
            f"the decoded pictures, {images.nbytes / 1e9:.1f} GB to train on, do not fit in memory and are in"
            f" {images.folder!r}, which is not visible on: {', '.join(blind)}. Give a folder that is mounted on every"
            " node with --data-root or KD_SEARCH_DATA, or fewer or smaller pictures (`data.image_size`), which are sent"
            " to the nodes."
        )


def _blind_nodes(path: str) -> list[str]:
    """Return the addresses of the nodes on which there is nothing at `path`.

    A node that does not answer in time is left out. A single node is not asked.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = alive_nodes()
    if len(nodes) < 2:
        return []

    def look(path: str) -> bool:  # nested, so that it is pickled by value
        import os
        import time

        for _ in range(10):  # a network file system may show a new file a little later
            if os.path.exists(path):
                return True
            time.sleep(0.5)
        return False

    looks = {
        ray.remote(num_cpus=0, max_retries=0)(look)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote(path): node["NodeManagerAddress"]
        for node in nodes
    }
    done, _ = ray.wait(list(looks), num_returns=len(looks), timeout=_SECONDS_TO_LOOK)
    blind = set()
    for answer in done:
        with contextlib.suppress(ray.exceptions.RayError):  # a node that was lost meanwhile
            if not ray.get(answer):
                blind.add(looks[answer])
    return sorted(blind)


def alive_nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive. Ray must be up."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def _marker(store: SearchStore, option: str = "--storage") -> Iterator[str]:
    folder = store.folder.rpartition("/")[0]
    path = f"{folder}/.kd-search-{uuid.uuid4().hex}"
    try:
        store.filesystem.create_dir(folder, recursive=True)
        with store.filesystem.open_output_stream(path) as stream:
            stream.write(b"written by a search to see who can read it\n")
    except (OSError, pyarrow.ArrowException) as error:
        raise SearchError(
            f"`{option}` {store.storage!r} cannot be written: {error}. Make it writable, or give another place."
        ) from error
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            store.filesystem.delete_file(path)
