"""TensorBoard and MLflow show what the file of JSON lines holds."""

import logging
import sys
import time

import pytest

from policies import Monitor, PolicyError
from policies.monitoring import LOG_FILE, MLflowRun, TensorBoard, read_log
from policies.monitoring.mlflow_run import ALARM_TAG
from tests.policies.monitoring.small_monitor import STEPS, balancer_of, batches, document, train, wide

LOUD = {"task_loss": wide(40.0, 50.0)}


def watched(folder, sink, *, every=10):
    balancer, student = balancer_of(folder, document(ranges=LOUD))
    with Monitor(balancer, to=sink, every=every, fallback="constant") as monitor:
        train(balancer, student, batches())
    return monitor


class Writer:
    """The calls of a `SummaryWriter` that the sink makes."""

    def __init__(self, folder):
        self.log_dir = str(folder)
        self.scalars, self.texts, self.flushed, self.closed = {}, [], 0, False

    def add_scalar(self, name, value, step):
        self.scalars.setdefault(name, []).append((step, value))

    def add_text(self, name, text, step):
        self.texts.append((name, step, text))

    def flush(self):
        self.flushed += 1

    def close(self):
        self.closed = True


def test_a_writer_of_the_users_gets_curves_and_alarms_and_stays_open(tmp_path):
    writer = Writer(tmp_path / "board")
    monitor = watched(tmp_path, TensorBoard(writer))
    means = read_log(tmp_path / "board" / LOG_FILE).of("readings")
    assert writer.scalars["kd/weight"] == [(r["step"], r["means"]["weight"]) for r in means]
    assert writer.texts[0] == ("kd/alarm", 1, monitor.alarms[0].text)
    assert writer.texts[1][:2] == ("kd/fall_back", 1)
    assert not writer.closed
    assert writer.flushed


def test_a_folder_becomes_one_that_tensorboard_reads(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    watched(tmp_path, TensorBoard(tmp_path / "board"))
    events = event_accumulator.EventAccumulator(str(tmp_path / "board")).Reload()
    assert [event.step for event in events.Scalars("kd/weight")] == [9, 19, 29, 39]
    assert "kd/alarm/text_summary" in events.Tags()["tensors"]


def test_a_missing_tensorboard_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PolicyError, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_what_is_no_writer_is_refused():
    with pytest.raises(PolicyError, match="folder or a `SummaryWriter`"):
        TensorBoard(3)


@pytest.fixture
def mlflow_run(tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("monitored", str(tmp_path / "artifacts"))
    return client, client.create_run(experiment).info.run_id, uri


def test_a_run_of_mlflow_gets_metrics_the_alarm_as_a_tag_and_the_log(mlflow_run, tmp_path):
    client, run_id, uri = mlflow_run
    monitor = watched(tmp_path, MLflowRun(run_id, tracking_uri=uri, seconds=0.01))
    history = client.get_metric_history(run_id, "kd/weight")
    assert [metric.step for metric in history] == [9, 19, 29, 39]
    assert client.get_run(run_id).data.tags[ALARM_TAG] == monitor.alarms[0].text
    log = read_log(client.download_artifacts(run_id, LOG_FILE, str(tmp_path)))
    assert log.steps == STEPS
    assert [m.value for m in history] == [r["means"]["weight"] for r in log.of("readings")]


def test_the_active_run_is_the_default_and_its_absence_is_an_error(mlflow_run):
    import mlflow

    _, run_id, uri = mlflow_run
    with pytest.raises(PolicyError, match="no MLflow run is active"):
        MLflowRun(tracking_uri=uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run(run_id):
            sink = MLflowRun()
            assert sink.run_id == run_id
            sink.close()
    finally:
        mlflow.set_tracking_uri(before)


def test_a_server_that_fails_or_hangs_does_not_hold_up_the_training(mlflow_run, tmp_path, caplog):
    _, run_id, uri = mlflow_run
    sink = MLflowRun(run_id, tracking_uri=uri, seconds=0.01)

    def failing(*_arguments, **_more):
        time.sleep(1.0)
        raise ConnectionError("nobody is there")

    sink._client.log_batch = failing
    balancer, student = balancer_of(tmp_path, document())
    with caplog.at_level(logging.WARNING), Monitor(balancer, to=sink, every=1):
        began = time.monotonic()
        train(balancer, student, batches(10))
        assert time.monotonic() - began < 1.0
    assert caplog.text.count("did not take all records") == 1
    assert "nobody is there" in caplog.text
