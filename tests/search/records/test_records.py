"""A search as plain data, with settings of its own type."""

import pytest

from search.metrics import metric_of_objective, metrics_with
from search.records.search import SearchRecord
from search.settings.search_file import SearchConfig
from tests.search.tiny import tiny_config
from trainables.errors import ConfigError


def test_a_stored_search_has_typed_settings_also_those_of_an_earlier_release():
    config = tiny_config()
    stored = {**config.model_dump(mode="json"), "baselines": [0.9, 0.5]}
    record = SearchRecord.parse({"name": "tiny", "config": stored})
    assert isinstance(record.config, SearchConfig)
    assert record.config == config


def test_settings_that_this_release_does_not_know_are_one_clear_error():
    stored = {**tiny_config().model_dump(mode="json"), "colour": "red"}
    with pytest.raises(ConfigError, match="`colour` is not a known setting"):
        SearchRecord.parse({"name": "tiny", "config": stored})


def test_objective_and_sizes_are_those_of_the_settings():
    record = SearchRecord(name="tiny", config=tiny_config("data.validation_size=300"))
    assert (record.objective.name, record.validation_size, record.resolution) == ("accuracy", 300, 1 / 300)
    assert record.planned == record.remaining == record.config.total_trials


def test_a_kpi_of_ones_own_takes_the_place_of_a_metric_of_its_name():
    own = metrics_with(["balanced_accuracy"])
    assert [metric.name for metric in own].count("balanced_accuracy") == 1
    assert own[-1].name == "balanced_accuracy"
    assert own[-1].own
    assert metric_of_objective("balanced_accuracy", "minimize").own
    assert not metric_of_objective("accuracy").own
