"""A monitor's log is explained as a trial's is, with its alarms and fall-back."""

import json

import pytest
from click.testing import CliRunner

from policies import Monitor, PolicyError
from policies.monitoring import LOG_FILE, read_log
from search.cli.program import cli
from search.drawing import style
from search.errors import SearchError
from search.explain.monitor_figure import plot_monitored, window_means
from search.explain.monitored import stored_log
from search.explain.phases import spans
from search.explain.source import find_source
from search.explain.summary import explain, explanation_json
from search.explain.wording import explanation_text
from search.settings.launch import Launch
from tests.policies.monitoring.small_monitor import STEPS, balancer_of, batches, document, train, wide

CALM, LOUD = {"task_loss": wide(0.0, 50.0)}, {"task_loss": wide(40.0, 50.0)}


def logged(folder, ranges, path=None, *, count=STEPS, **more):
    """Train under a monitor and return the log's path."""
    path = folder / "log.jsonl" if path is None else path
    balancer, student = balancer_of(folder, document(ranges=ranges))
    with Monitor(balancer, to=path, every=2, **more) as monitor:
        train(balancer, student, batches()[: count // 2])
        if more:
            monitor.reset()
        train(balancer, student, batches()[count // 2 : count])
    return path


def told(source):
    return explanation_text(explain(source.log, source.title, source.remark, source.monitored))


def test_the_steps_between_two_decisions_belong_to_the_first(tmp_path):
    log = stored_log(read_log(logged(tmp_path, LOUD, fallback="constant")))
    found = spans(log, 0)
    assert sum(span.length for span in found) == log.context.steps == STEPS
    assert {span.entry.branch for span in found} == {0, -1}
    assert all(span.entry.weight == 0.3 for span in found if span.entry.branch == -1)


def test_alarms_fall_back_and_reset_are_told_with_their_steps_and_reasons(tmp_path):
    text = told(find_source(str(logged(tmp_path, LOUD, fallback="constant")), Launch.of(tmp_path)))
    assert "The alarm watched the ranges of 10 confirmed trainings: task loss." in text
    assert "step 1: alarm: task loss" in text
    assert "step 1: fell back to the constant λ = 0.3 at temperature 2, since task loss left its range" in text
    assert "step 19: reset by the user" in text
    assert "the fall-back (λ = 0.3)" in text
    assert "The guard never intervened." in text
    assert "seed" not in text


def test_a_quiet_training_is_told_as_such(tmp_path):
    text = told(find_source(str(logged(tmp_path, CALM)), Launch.of(tmp_path)))
    assert "No reading left its range." in text
    assert "alarm:" not in text


def test_where_no_alarm_could_ring_the_reason_is_told(tmp_path):
    text = told(find_source(str(logged(tmp_path, None)), Launch.of(tmp_path)))
    assert "No alarm could ring: the policy.json has no confirmed ranges" in text


def test_an_intervention_counts_all_its_steps(tmp_path):
    balancer, student = balancer_of(tmp_path, document())
    given = [(x, labels, float("nan") * t if 4 <= n < 7 else t) for n, (x, labels, t) in enumerate(batches())]
    with Monitor(balancer, to=tmp_path / "log.jsonl"):
        train(balancer, student, given)
    text = told(find_source(str(tmp_path / "log.jsonl"), Launch.of(tmp_path)))
    assert "The guard intervened at 3 steps, first at step 4: the distillation loss is not finite" in text


def test_a_folder_of_tensorboard_and_a_run_of_mlflow_are_found(tmp_path):
    import mlflow

    (tmp_path / "board").mkdir()
    path = logged(tmp_path, LOUD, tmp_path / "board" / LOG_FILE)
    by_folder = find_source(str(tmp_path / "board"), Launch.of(tmp_path))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    run = client.create_run(client.create_experiment("monitored", str(tmp_path / "artifacts"))).info.run_id
    launch = Launch.of(tmp_path / "runs", tracking_uri=uri)
    with pytest.raises(SearchError, match=f"run {run!r} .* has no log"):
        find_source(f"runs:/{run}", launch)
    client.log_artifact(run, str(path))
    by_run = find_source(f"runs:/{run}", launch)
    assert by_run.monitored == by_folder.monitored == read_log(path)
    assert (by_folder.figure, by_run.figure) == (tmp_path / "board" / "board", tmp_path / "runs" / "explain" / run)


def test_a_damaged_log_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="is not a monitor's log"):
        find_source(str(tmp_path / "log.jsonl"), Launch.of(tmp_path))


def test_the_command_prints_the_story_or_json_and_draws(tmp_path):
    path = logged(tmp_path, LOUD, fallback="constant")
    shown = CliRunner().invoke(cli, ["explain", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "fell back to the constant" in shown.output
    assert (tmp_path / "log.png").stat().st_size > 10_000
    assert "task loss" in (tmp_path / "log.svg").read_text(encoding="utf-8")
    as_json = json.loads(CliRunner().invoke(cli, ["explain", str(path), "--json"]).output)
    assert [event["kind"] for event in as_json["monitor"]["events"]] == [
        "alarm",
        "fall_back",
        "reset",
        "alarm",
        "fall_back",
    ]
    assert as_json["monitor"]["trainings"] == 10


def test_the_figure_has_a_panel_for_each_reading_and_its_line_is_the_windows_mean(tmp_path):
    log = read_log(logged(tmp_path, LOUD))
    with style():
        figure = plot_monitored(log, "t")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["λ", "cosine", "norm ratio", "task loss", "distillation loss"]
    means = {record["step"]: record["means"]["task_loss"] for record in log.of("readings")}
    found = window_means(log, "task_loss", STEPS)
    assert found == {window: means[2 * window + 1] for window in range(20)}


def test_a_training_that_has_hardly_begun_can_be_drawn_and_told(tmp_path):
    log = read_log(logged(tmp_path, CALM, count=1))
    with style():
        assert plot_monitored(log, "t").axes
    assert explanation_json(explain(stored_log(log), "t", monitored=log))["steps"] == 1
