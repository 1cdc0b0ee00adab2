"""A user's function as a trial: what is recorded, resumed, isolated and refused."""

import os
import pathlib

import pytest
import torch

from policies import LossBalancer, create_policy
from policies.errors import KDPolicySearchError
from tests.trainables.functions.function_files import DIGITS, own
from trainables.config import DeviceSettings, ModelSettings, PolicySettings, TrainingSettings, TrialSettings
from trainables.device import select_compute
from trainables.errors import ConfigError
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining
from trainables.functions.isolation import seed_all


def trial(family="norm_balance", **changes):
    return TrialSettings(
        student=ModelSettings(name="train.py:distil"),
        training=TrainingSettings(learning_rate=1e-2, epochs=4),
        policy=PolicySettings(family=family),
        trace_points=5,
        **changes,
    )


def training(source=DIGITS, *, family="norm_balance", processes=0, folder=None, seeds=(3,), **more):
    place = FunctionPlace(
        assets=FunctionAssets(function=own(source, processes=processes), folder=str(folder or pathlib.Path.cwd())),
        compute=select_compute(DeviceSettings(device="cpu")),
    )
    return FunctionTraining(trial(family, seeds=seeds), place, **more)


def run(training):
    """Run a training to its end; return the notes on its seeds."""
    try:
        for _ in training.records():
            pass
        return training.ended
    finally:
        training.close()


def by_hand(seed):
    """Train as the function does, without a run."""
    seed_all(seed, 0)
    module = {}
    exec(DIGITS, module)
    x, y = module["data"]()
    student = torch.nn.Sequential(
        torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 10)
    )
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    balancer = LossBalancer(create_policy("norm_balance"), student, total_steps=20)
    for epoch in range(4):
        seed_all(seed, epoch + 1)
        student.train()
        for part in torch.randperm(200).split(40):
            optimizer.zero_grad()
            teacher = 4.0 * torch.nn.functional.one_hot(y[part], 10).float() + 0.01 * torch.randn(len(part), 10)
            probed = balancer.step in (0, 5, 10, 14, 19)
            balancer.backward_on_logits(student(x[part]), teacher, y[part], measure_now=probed)
            optimizer.step()
    return student, balancer


def test_a_function_trains_as_its_loop_does_by_hand():
    notes = run(training())[0]
    student, balancer = by_hand(3)
    assert notes.steps == balancer.step == 20
    for name, value in student.state_dict().items():
        assert torch.equal(notes.student.state[name], value)


def test_batches_of_different_sizes_are_recorded():
    uneven = DIGITS.replace("torch.randperm(200).split(40)", "torch.randperm(170).split(40)")
    notes = run(training(uneven, family="sample_norm_balance"))[0]
    conduct = notes.conduct.conduct()
    assert conduct.steps == 20
    assert 0 <= conduct.samples.weight_range[0] < conduct.samples.weight_range[1] <= 1


def test_the_history_holds_what_a_history_holds():
    found = training(seeds=(3, 4))
    run(found)
    history = found.history()
    assert [record.epoch for record in history.epochs] == [1, 2, 3, 4]
    assert [point.step for point in history.trace] == [0, 5, 10, 14, 19]
    assert [result.seed for result in history.replicates] == [3, 4]
    accuracies = [result.validation_accuracy for result in history.replicates]
    assert history.score == pytest.approx(sum(accuracies) / 2)
    assert history.epochs[-1].own_kpis["wrong"] == pytest.approx(500 * (1 - history.score))
    assert history.epochs[-1].validation_loss is None
    assert history.epochs[0].train_task_loss > history.epochs[-1].train_task_loss > 0
    assert history.conduct.steps == 40
    assert 0 < history.conduct.weight_mean < 1
    assert {entry.seed for entry in found.decisions} == {3, 4}
    assert history.policy["options"] == {"hidden": 8}
    assert history.policy["training"] == {"learning_rate": 1e-2, "epochs": 4, "function": "train.py:distil"}
    assert history.parameters == 64 * 8 + 8 + 8 * 10 + 10
    assert set(found.students()) == {3, 4}


def test_a_resumed_training_ends_in_the_same_student(tmp_path):
    whole = training(seeds=(3, 4))
    expected = run(whole)
    cut = training(seeds=(3, 4))
    for turn, _ in enumerate(cut.records()):
        if turn == 7:  # in the second seed's third epoch
            state = cut.save_state(tmp_path)
            break
    cut.close()
    torch.save(state, tmp_path / "state.pt")
    resumed = training(seeds=(3, 4))
    resumed.load_state(tmp_path, torch.load(tmp_path / "state.pt", weights_only=True))
    resumed_notes = run(resumed)
    assert resumed_notes[1].digest == expected[1].digest
    assert resumed.history().trace == whole.history().trace
    assert resumed.decisions == whole.decisions
    assert resumed.history().conduct == whole.history().conduct
    assert [record.validation_accuracy for record in resumed.records_so_far] == [
        record.validation_accuracy for record in whole.records_so_far
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_of_its_own_gives_the_same_student(processes):
    """Two processes of this function do the same work side by side, since it does not divide its batches."""
    here = run(training())[0]
    there = run(training(processes=processes))[0]
    assert there.digest == here.digest
    assert there.reports[-1].metrics == here.reports[-1].metrics


def test_a_process_of_its_own_may_have_the_processes_of_a_data_loader():
    loading = DIGITS.replace(
        "    for _ in run.epochs(EPOCHS):",
        "    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[:8]), 4, num_workers=1)\n"
        "    assert sum(len(part) for part, in loader) == 8\n"
        "    for _ in run.epochs(EPOCHS):",
    )
    assert run(training(loading, processes=1))[0].steps == 20


def test_processes_that_train_together_find_each_other():
    together = DIGITS.replace(
        "    balancer = run.balancer(",
        '    torch.distributed.init_process_group("gloo")\n'
        "    student = nn.parallel.DistributedDataParallel(student)\n"
        "    balancer = run.balancer(",
    ).replace("for part in torch.randperm(200).split(40):", PART)
    alone, both = run(training())[0], run(training(together, processes=2))[0]
    assert both.steps == alone.steps
    assert both.reports[-1].metrics["accuracy"] == pytest.approx(alone.reports[-1].metrics["accuracy"], abs=0.15)
    assert both.digest != alone.digest  # each process has half of the batch, and draws other numbers


PART = (
    "for part in torch.randperm(200).split(40):\n"
    "            part = part[torch.distributed.get_rank() :: torch.distributed.get_world_size()]"
)


def test_what_a_function_changes_in_its_process_is_reset_and_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    messy = DIGITS.replace(
        "    run.keep(student, x[:1])",
        "    torch.set_default_dtype(torch.float64)\n    torch.set_grad_enabled(False)\n"
        '    import os\n    os.environ["KD_LEFT"] = "1"\n    os.chdir("/")\n    torch.set_num_threads(3)\n',
    )
    threads = torch.get_num_threads()
    clean = run(training(folder=tmp_path))[0]
    left = run(training(messy, folder=tmp_path))[0]
    after = run(training(folder=tmp_path))[0]
    assert left.changed == [
        "the working directory",
        "os.environ (KD_LEFT)",
        "torch's default dtype",
        "torch's number of threads",
        "torch's gradient mode",
    ]
    assert after.digest == clean.digest == left.digest
    assert "KD_LEFT" not in os.environ
    assert pathlib.Path.cwd() == tmp_path
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    run.restore(load)",
            "    x / None",
            r"train.py:distil failed, line 36 \(`x / None`\): TypeError",
        ),
        ("    run.restore(load)", "    raise SystemExit(3)", "train.py:distil failed, line 36 .*SystemExit"),
        (
            'run.options["hidden"]',
            'run.options["hiden"]',
            "reads the option 'hiden', but those given are 'hidden'",
        ),
        ("accuracy=right(slice(200, 700)).double().mean(), ", "", "must name the search's `objective`, 'accuracy'"),
        (
            "accuracy=right(slice(200, 700)).double().mean()",
            'accuracy="high"',
            "'accuracy' must be one number, but is str",
        ),
        (
            "run.report(accuracy=right(slice(200, 700)).double().mean(), ",
            "run.report(**({'accuracy': 0.5} if balancer.step < 10 else {}), ",
            "the last report .* must hold the search's `objective`, 'accuracy', .* but it holds wrong",
        ),
        ("        run.report(", "        dict(", "must report the search's `objective`, 'accuracy', but ended without"),
        ("    run.restore(load)\n", "", r"`run.restore\(read\)` must be called before the loop"),
        ("balancer.backward_on_logits(student(x[part]), teacher, y[part])", "pass", "ended without a step of it"),
        ("    run.restore(load)", "    run.balancer(student, total_steps=1)", "called a second time; call it once"),
        ("if run.confirming:", "if True:", "must be called in a confirmation only"),
        ("def distil(run: Run):", "def other(run: Run):", "has no function 'distil'; functions in it: data, other"),
        ("def distil(run: Run):", "def distil():", r"must take one argument, the run, but is distil\(\)"),
    ],
)
def test_a_mistake_is_told_with_its_place(old, new, message):
    assert old in DIGITS
    with pytest.raises(KDPolicySearchError, match=message):
        run(training(DIGITS.replace(old, new)))


def test_an_error_in_a_process_of_its_own_is_told_alike():
    with pytest.raises(ConfigError, match=r"train.py:distil failed, line 36 \(`x / None`\): TypeError"):
        run(training(DIGITS.replace("    run.restore(load)", "    x / None"), processes=1))


def test_a_function_that_swallows_errors_can_be_stopped():
    loop = "    for _ in run.epochs(EPOCHS):\n        student.train()\n"
    stubborn = DIGITS.replace(
        loop, loop + "        try:\n            run.report(accuracy=0.5)\n        except Exception:\n            pass\n"
    )
    assert stubborn != DIGITS
    found = training(stubborn)
    next(found.records())
    found.close()
    assert run(training())[0].steps == 20  # the thread is free again


def test_a_function_is_stopped_after_so_many_updates():
    assert run(training(most_steps=7))[0].updates == 7
    one, other = (run(training(most_steps=7))[0].digest for _ in range(2))
    assert one == other != run(training(most_steps=8))[0].digest
