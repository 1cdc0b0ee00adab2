"""The loaded pictures are counted, reported and stored with the search."""

import numpy as np

from search.prepare.preparation import load_checked, teach
from search.prepare.test_pictures import prepare_ground
from search.records.pictures import PictureCounts
from search.run.search import _new_record
from search.store.folder import SearchStore
from tests.search.tiny import QuietListener, tiny_config
from trainables.datasets import load_dataset

TOLD = "100 training (the teacher's: 1,000), 300 validation, 497 test pictures of 8×8×1, 10 classes"


def test_the_counts_are_those_of_the_sets_that_are_used(launch):
    dataset = load_dataset(tiny_config().data, default_root=launch.data_root)
    counts = PictureCounts.of(dataset)
    assert (counts.train, counts.pool, counts.validation, counts.test) == (100, 1000, 300, 497)
    assert counts.largest_share == np.bincount(dataset.validation.labels).max() / 300
    assert counts.in_words == TOLD
    assert counts.model_copy(update={"train": 1000}).in_words.startswith("1,000 training, 300 validation")


def test_searches_and_confirmations_say_what_was_loaded(launch):
    for work in (load_checked, prepare_ground):
        listener = QuietListener()
        work(tiny_config(), launch, listener)
        assert listener.stages[:2] == ["loading digits", TOLD]


def test_a_search_keeps_the_counts(launch):
    config = tiny_config()
    dataset = load_dataset(config.data, default_root=launch.data_root)
    record = _new_record(config, teach(config, dataset, launch, lambda progress: None))
    store = SearchStore(launch.storage, config.name)
    store.write_header(record, launch)
    assert store.header_record().pictures == PictureCounts.of(dataset)
    assert store.header_record().resolution == 1 / 300
