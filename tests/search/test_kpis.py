"""The user's own KPIs in a search: from the search file to the trials and back."""

import json
import pathlib

import pytest

from policies.errors import KDPolicySearchError
from search.report.tables.settings import settings_rows
from search.run.search import run_search
from search.settings.search_file import SearchConfig, load_config
from search.store.checks import check_unchanged
from search.store.folder import SearchStore
from tests.search.tiny import TINY, QuietListener

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
SOURCE = (EXAMPLES / "my_kpis.py").read_text(encoding="utf-8")
REGRET = """
def regret(model, data):
    sure = data.logits.softmax(dim=1).max(dim=1).values
    return sure[data.logits.argmax(dim=1) != data.labels].sum() / len(data.labels)
"""


def search_file(folder, *lines, source=SOURCE):
    """Write a search file, and the KPIs beside it."""
    (folder / "my_kpis.py").write_text(source, encoding="utf-8")
    path = folder / "mine.toml"
    path.write_text(
        "\n".join(
            [
                *('name = "mine"', *lines, "[teacher.model]", 'name = "cnn"'),
                *("[teacher.training]", "epochs = 2", "[student]", 'name = "mlp"'),
            ]
        )
    )
    return str(path)


LISTED = 'kpis = ["my_kpis.py:recall_of_class_3", "my_kpis.py:accuracy_in_noise"]'


def test_a_search_file_names_kpis_beside_it_and_trials_get_them(tmp_path):
    config = load_config(search_file(tmp_path, LISTED, 'objective = "recall_of_class_3"'))
    base = config.base_trial()
    assert [kpi.name for kpi in base.own_kpis] == ["recall_of_class_3", "accuracy_in_noise"]
    assert (base.objective.name, base.objective.direction) == ("recall_of_class_3", "maximize")
    stored = SearchConfig.parse(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert stored == config
    assert dict(settings_rows(config))["kpis"] == ("my_kpis.py:recall_of_class_3, my_kpis.py:accuracy_in_noise")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['kpis = ["my_kpis.py:recall"]'], r"`kpis\.0`: my_kpis\.py has no function 'recall'.*recall_of_class_3"),
        (['kpis = ["my_kpis.py"]'], r"a KPI of your own is given as FILE\.py:FUNCTION, like my_kpis\.py:"),
        (['kpis = ["none.py:f"]'], r"cannot read '.*none\.py'"),
        ([LISTED.replace("accuracy_in_noise", "recall_of_class_3")], r"`kpis`: .*have the same name; list it once"),
        (['objective = "recal"', LISTED], r"`objective`: must be one of accuracy, recall_of_class_3.*got 'recal'"),
        (['direction = "minimize"', LISTED], r"`direction`: must be 'maximize' while `objective` is 'accuracy'"),
        (['direction = "down"', LISTED], r"`direction` .*'maximize' or 'minimize'.*got 'down'"),
    ],
)
def test_a_mistake_in_the_search_file_is_told(tmp_path, lines, message):
    with pytest.raises(KDPolicySearchError, match=message):
        load_config(search_file(tmp_path, *lines))


def test_a_changed_file_is_told_with_its_first_changed_line(tmp_path):
    begun = load_config(search_file(tmp_path, LISTED))
    now = load_config(search_file(tmp_path, LISTED, source=SOURCE.replace("0.5 *", "0.7 *")))
    check_unchanged(begun, begun)
    with pytest.raises(KDPolicySearchError, match=r"file of my_kpis\.py:accuracy_in_noise has changed: line \d+ was"):
        check_unchanged(now, begun)
    with pytest.raises(KDPolicySearchError, match=r"the KPI my_kpis\.py:accuracy_in_noise was removed"):
        check_unchanged(load_config(search_file(tmp_path)), begun)


def settings(name, *more):
    few = ["trials_per_family=2", "constant.most_trials=2", "replicates=2", "training.epochs=4", "evaluations=2"]
    return [*TINY, f"name={name}", *few, *more]


def test_a_kpi_that_fails_is_told_before_a_teacher_is_trained(tmp_path, launch):
    (tmp_path / "bad.py").write_text("def bad(model, data):\n    return model.weight.sum()\n")
    config = load_config(search_file(tmp_path)).model_dump(mode="json")
    values = {**load_config("digits-quick", settings("failing")).model_dump(mode="json")}
    values["kpis"] = [{"origin": "bad.py:bad", "source": (tmp_path / "bad.py").read_text()}]
    listener = QuietListener()
    with pytest.raises(KDPolicySearchError, match=r"KPI bad\.py:bad failed, line 2 \(`return model\.weight"):
        run_search(SearchConfig.parse(values), launch, listener)
    assert config["kpis"] == []
    assert listener.teacher_news == []


def test_a_search_minimises_a_kpi(launch):
    values = load_config("digits-quick", settings("regret")).model_dump(mode="json")
    values |= {"kpis": [{"origin": "regret.py:regret", "source": REGRET}]}
    values |= {"objective": "regret", "direction": "minimize"}
    outcome = run_search(SearchConfig.parse(values), launch, QuietListener())
    search = outcome.search
    assert search.status == "finished"
    assert all(trial.status == "finished" for trial in search.trials)
    for trial in search.trials:
        regrets = [result.own_kpis["regret"] for result in trial.history.replicates]
        assert all(0 < regret < 1 for regret in regrets)
        assert trial.score == pytest.approx(-sum(regrets) / 2)
        assert [epoch.own_kpis["regret"] for epoch in trial.history.epochs][-1] == pytest.approx(-trial.score)
    regrets = [-trial.score for trial in search.finished]
    assert regrets == sorted(regrets)
    assert SearchStore(launch.storage, "regret").config().objective == "regret"

    from mlflow import MlflowClient

    client = MlflowClient(launch.tracking_uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == launch.experiment]
    runs = client.search_runs([experiment.experiment_id], "tags.`kd.search` = 'regret'")
    best = min(run.data.metrics["score"] for run in runs if "score" in run.data.metrics)
    assert best == pytest.approx(regrets[0], rel=1e-3)
    (parent,) = [run for run in runs if "best_score" in run.data.metrics]
    assert parent.data.metrics["best_score"] == pytest.approx(regrets[0], rel=1e-3)
