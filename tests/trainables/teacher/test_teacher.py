import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainables.config import DataSettings, TeacherSettings
from trainables.datasets import load_dataset
from trainables.device import Compute
from trainables.errors import CheckpointError, ConfigError, ModelError
from trainables.models import create_model
from trainables.pictures.sets import Dataset
from trainables.teacher import training as teacher_training
from trainables.teacher.prepare import Teacher, check_teacher, prepare_teacher
from trainables.teacher.progress import TeacherProgress
from trainables.teacher.targets import accuracy, compute_logits

CPU = torch.device("cpu")
TRAINING = {"epochs": 2, "batch_size": 64}


def settings(**values: Any) -> TeacherSettings:
    model = {"name": "cnn", "options": {"widths": [8, 16]}}
    return TeacherSettings.parse({"model": model, "training": TRAINING, **values})


def from_checkpoint(path: Path, **values: Any) -> TeacherSettings:
    return settings(checkpoint=str(path), training=None, **values)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    dataset = load_dataset(DataSettings(), default_root=Path("unused"))
    for split in (dataset.pool, dataset.validation):
        split.images.flags.writeable = False  # as Ray's object store gives them
    return dataset


def prepare(chosen: TeacherSettings, dataset: Dataset, cache: Path, progress: Any = None) -> Teacher:
    return prepare_teacher(chosen, dataset, cache=cache, compute=Compute(CPU, bfloat16=False), progress=progress)


def judged(teacher: Teacher, dataset: Dataset) -> float:
    """Return its accuracy on the validation pictures."""
    logits = compute_logits(teacher.module, dataset.validation.images, dataset, CPU)
    return accuracy(logits, dataset.validation.labels)


def weights(teacher: Teacher) -> dict[str, torch.Tensor]:
    return teacher.module.state_dict()


def assert_same_weights(first: Teacher, second: Teacher) -> None:
    assert weights(first).keys() == weights(second).keys()
    assert all(torch.equal(weights(first)[name], weights(second)[name]) for name in weights(first))


@pytest.fixture
def untrained(digits: Dataset) -> nn.Module:
    torch.manual_seed(1)
    return create_model(settings().model, image_shape=digits.image_shape, classes=10)


class TestTraining:
    def test_a_short_training_teaches(self, digits: Dataset, tmp_path: Path) -> None:
        model = {"name": "cnn", "options": {"head": "flatten"}}
        chosen = settings(model=model, training={"epochs": 8, "batch_size": 32, "weight_decay": 0.05})
        teacher = prepare(chosen, digits, tmp_path)
        assert judged(teacher, digits) > 0.96
        assert teacher.parameters == sum(p.numel() for p in teacher.module.parameters())
        assert not teacher.module.training
        assert not any(p.requires_grad for p in teacher.module.parameters())

    @pytest.mark.parametrize(("widths", "expected"), [((32, 64), 1), ((64, 128), 3)])
    def test_where_a_batch_is_little_work_one_thread_does_it(
        self, digits: Dataset, tmp_path: Path, widths: tuple[int, int], expected: int
    ) -> None:
        usual, used = torch.get_num_threads(), []
        torch.set_num_threads(3)
        try:
            model = {"name": "cnn", "options": {"widths": widths}}
            chosen = settings(model=model, training={"epochs": 1, "batch_size": 64})
            prepare(chosen, digits, tmp_path, lambda _: used.append(torch.get_num_threads()))
            assert set(used) == {expected}
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(usual)

    def test_classes_that_were_kept_from_it_are_never_its_answer(self, digits: Dataset, tmp_path: Path) -> None:
        chosen = settings(unseen_classes=["3", "8"], training={"epochs": 8, "batch_size": 32})
        teacher = prepare(chosen, digits, tmp_path)
        answers = compute_logits(teacher.module, digits.validation.images, digits, CPU).argmax(1)
        labels = digits.validation.labels
        assert not np.isin(answers, [3, 8]).any()
        seen = ~np.isin(labels, [3, 8])
        assert (answers[seen] == labels[seen]).mean() > 0.9
        again = prepare(settings(unseen_classes=["8", "3"], training=chosen.training.model_dump()), digits, tmp_path)
        assert again.key == teacher.key
        assert prepare(settings(training=chosen.training.model_dump()), digits, tmp_path).key != teacher.key

    @pytest.mark.parametrize(
        ("unseen", "message"),
        [
            (["eight"], "name classes of the data set .0, 1, 2.*but got 'eight'"),
            ([str(number) for number in range(9)], "leave the teacher two classes at least, but leaves 1"),
        ],
    )
    def test_unseen_classes_that_cannot_be_are_refused(
        self, digits: Dataset, tmp_path: Path, unseen: list[str], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=f"teacher.unseen_classes. must {message}"):
            prepare(settings(unseen_classes=unseen), digits, tmp_path)

    def test_a_checkpoint_has_no_unseen_classes(self) -> None:
        with pytest.raises(ConfigError, match="`unseen_classes`.*`checkpoint`.*remove one of them"):
            settings(checkpoint="teacher.pt", training=None, unseen_classes=["3"])

    def test_progress_tells_every_epoch(self, digits: Dataset, tmp_path: Path) -> None:
        told: list[TeacherProgress] = []
        prepare(settings(), digits, tmp_path, told.append)
        ends = [progress for progress in told if progress.epoch == int(progress.epoch)]
        assert [(p.epoch, p.epochs, p.cached) for p in ends] == [(1, 2, False), (2, 2, False)]
        assert ends[1].loss < ends[0].loss
        assert 0 < ends[0].accuracy < ends[1].accuracy <= 1
        assert 0 < ends[0].seconds < ends[1].seconds

    def test_long_epochs_are_told_in_between(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(teacher_training, "_REPORT_SECONDS", 0.0)
        told: list[TeacherProgress] = []
        prepare(settings(), digits, tmp_path, told.append)
        assert [p.epoch for p in told] == pytest.approx([step / 13 for step in range(1, 27)])

    def test_the_same_settings_give_the_same_teacher(self, digits: Dataset, tmp_path: Path) -> None:
        chosen = settings(augmentation={"flip": True, "crop_padding": 1})
        first, second = prepare(chosen, digits, tmp_path / "a"), prepare(chosen, digits, tmp_path / "b")
        assert_same_weights(first, second)
        assert first.key == second.key

    def test_training_leaves_torchs_random_state(self, digits: Dataset, tmp_path: Path) -> None:
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        prepare(settings(), digits, tmp_path)
        assert torch.equal(torch.rand(1), expected)

    @pytest.mark.parametrize("batch_size", [1000, 799])
    def test_batches_may_be_larger_than_the_pool_or_leave_one_picture(
        self, digits: Dataset, tmp_path: Path, batch_size: int
    ) -> None:
        # Three stages on pictures of 2×2 leave one position, where batch normalisation cannot take a single picture.
        images = digits.pool.images[:, :, :2, :2]
        small = dataclasses.replace(
            digits,
            pool=dataclasses.replace(digits.pool, images=images),
            validation=dataclasses.replace(digits.validation, images=digits.validation.images[:, :, :2, :2]),
        )
        chosen = settings(model={"name": "cnn"}, training={"epochs": 1, "batch_size": batch_size})
        assert 0 <= judged(prepare(chosen, small, tmp_path), small) <= 1

    def test_a_diverging_training_is_told(self, digits: Dataset, tmp_path: Path) -> None:
        training = {"epochs": 3, "optimizer": "sgd", "learning_rate": 1e12, "schedule": "constant"}
        with pytest.raises(ModelError, match=r"loss must stay finite, but became .* lower the `learning_rate`"):
            prepare(settings(model={"name": "mlp"}, training=training), digits, tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestCache:
    def test_a_kept_teacher_is_not_trained_again(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = prepare(settings(), digits, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [f"{first.key}.pt"]

        def refuse(*_: object) -> None:
            raise AssertionError("it trains again")

        monkeypatch.setattr(teacher_training, "_train", refuse)
        told: list[TeacherProgress] = []
        second = prepare(settings(), digits, tmp_path, told.append)
        assert_same_weights(first, second)
        assert (judged(second, digits), second.key) == (judged(first, digits), first.key)
        assert [(p.epoch, p.epochs, p.cached) for p in told] == [(2, 2, True)]

    def test_a_kept_teacher_answers_to_the_last_bit_as_the_fresh_one(self, digits: Dataset, tmp_path: Path) -> None:
        fresh, kept = prepare(settings(), digits, tmp_path), prepare(settings(), digits, tmp_path)
        logits = [compute_logits(t.module, digits.validation.images, digits, CPU) for t in (fresh, kept)]
        np.testing.assert_array_equal(*logits)

    @pytest.mark.parametrize("damage", ["cut short", "garbage", "empty", "other contents", "other shapes"])
    def test_a_damaged_file_is_replaced(self, digits: Dataset, tmp_path: Path, damage: str) -> None:
        first = prepare(settings(), digits, tmp_path)
        file = tmp_path / f"{first.key}.pt"
        whole = file.read_bytes()
        if damage == "other contents":
            torch.save({"weights": 1}, file)
        elif damage == "other shapes":
            content = torch.load(file, weights_only=True)
            content["state_dict"] = {name: tensor[..., None] for name, tensor in content["state_dict"].items()}
            torch.save(content, file)
        else:
            file.write_bytes({"cut short": whole[: len(whole) // 2], "garbage": b"garbage", "empty": b""}[damage])
        assert_same_weights(prepare(settings(), digits, tmp_path), first)
        told: list[TeacherProgress] = []
        prepare(settings(), digits, tmp_path, told.append)
        assert told[0].cached

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1},
            {"training": {**TRAINING, "learning_rate": 0.02}},
            {"augmentation": {"flip": True}},
            {"model": {"name": "cnn", "options": {"widths": [8, 16], "head": "flatten"}}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_the_key_covers_every_setting(self, digits: Dataset, tmp_path: Path, change: dict[str, Any]) -> None:
        assert prepare(settings(**change), digits, tmp_path).key != prepare(settings(), digits, tmp_path).key

    def test_the_key_covers_the_data(self, digits: Dataset, tmp_path: Path) -> None:
        other = load_dataset(DataSettings(split_seed=1), default_root=Path("unused"))
        assert prepare(settings(), other, tmp_path).key != prepare(settings(), digits, tmp_path).key

    def test_spelling_out_a_default_keeps_the_key(self, digits: Dataset, tmp_path: Path) -> None:
        spelled = settings(
            model={"name": "cnn", "options": {"widths": [8, 16], "head": "mean"}}, augmentation={"views": 4, "seed": 2}
        )
        assert prepare(spelled, digits, tmp_path).key == prepare(settings(), digits, tmp_path).key

    def test_a_place_that_cannot_be_written_is_told_before_training(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(teacher_training, "_train", lambda *_: pytest.fail("it trains first"))
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(CheckpointError, match=r"cannot be stored in .*file"):
            prepare(settings(), digits, tmp_path / "file" / "cache")

    def test_an_interrupted_writing_leaves_nothing(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", fail)
        with pytest.raises(CheckpointError, match="No space left on device"):
            prepare(settings(), digits, tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestCheckpoint:
    @pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
    @pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
    def test_the_usual_files_are_read(
        self, digits: Dataset, tmp_path: Path, untrained: nn.Module, wrapper: str | None, prefix: str
    ) -> None:
        state: Any = {prefix + name: tensor for name, tensor in untrained.state_dict().items()}
        torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "teacher.pt")
        teacher = prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path / "unused")
        expected = untrained.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(teacher).items())
        assert not (tmp_path / "unused").exists()

    def test_a_safetensors_file_is_read(self, digits: Dataset, tmp_path: Path, untrained: nn.Module) -> None:
        pytest.importorskip("safetensors")
        from safetensors.torch import save_file

        save_file(untrained.state_dict(), tmp_path / "teacher.safetensors")
        teacher = prepare(from_checkpoint(tmp_path / "teacher.safetensors"), digits, tmp_path)
        expected = untrained.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(teacher).items())
        (tmp_path / "bad.safetensors").write_bytes(b"garbage")
        with pytest.raises(CheckpointError, match=r"bad\.safetensors' cannot be read"):
            prepare(from_checkpoint(tmp_path / "bad.safetensors"), digits, tmp_path)

    def test_safetensors_missing_is_told(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "safetensors", None)
        (tmp_path / "teacher.safetensors").write_bytes(b"")
        with pytest.raises(CheckpointError, match="pip install safetensors"):
            prepare(from_checkpoint(tmp_path / "teacher.safetensors"), digits, tmp_path)

    def test_counters_that_old_files_lack_are_not_asked_for(
        self, digits: Dataset, tmp_path: Path, untrained: nn.Module
    ) -> None:
        state = {name: t for name, t in untrained.state_dict().items() if "num_batches" not in name}
        torch.save(state, tmp_path / "teacher.pt")
        assert prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path).parameters > 0

    def test_the_key_covers_the_weights(self, digits: Dataset, tmp_path: Path, untrained: nn.Module) -> None:
        keys = []
        for _ in range(2):
            torch.save(untrained.state_dict(), tmp_path / "teacher.pt")
            keys.append(prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path).key)
            nn.init.zeros_(next(untrained.parameters()))
        assert keys[0] != keys[1]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"cannot be read"),
            (b"garbage", r"cannot be read"),
            (b"PK\x03\x04cut", r"cannot be read"),
            ([1, 2], r"must hold a state dict .* but holds a list"),
            ({"epoch": 3}, r"but holds a mapping with 'epoch'"),
            ({}, r"but holds an empty mapping"),
        ],
        ids=["empty", "garbage", "cut zip", "list", "no weights", "empty mapping"],
    )
    def test_a_file_without_weights_is_told(
        self, digits: Dataset, tmp_path: Path, content: object, message: str
    ) -> None:
        file = tmp_path / "teacher.pt"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            torch.save(content, file)
        with pytest.raises(CheckpointError, match=message):
            prepare(from_checkpoint(file), digits, tmp_path)

    def test_a_whole_pickled_model_gives_its_weights(
        self, digits: Dataset, tmp_path: Path, untrained: nn.Module
    ) -> None:
        torch.save(untrained, tmp_path / "teacher.pt")
        teacher = prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path)
        expected = untrained.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(teacher).items())

    def test_averaged_weights_are_taken_if_asked_for(
        self, digits: Dataset, tmp_path: Path, untrained: nn.Module
    ) -> None:
        state = untrained.state_dict()
        averaged = {name: tensor + 1 for name, tensor in state.items()}
        torch.save({"model": state, "model_ema": averaged}, tmp_path / "teacher.pt")
        plain = prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path)
        ema = prepare(from_checkpoint(tmp_path / "teacher.pt", weights="ema"), digits, tmp_path)
        assert torch.equal(weights(ema)["8.bias"], weights(plain)["8.bias"] + 1)
        assert "the plain ones are taken" in plain.remarks[0]
        assert ema.key != plain.key

    def test_weights_of_another_model_are_listed(self, digits: Dataset, tmp_path: Path, untrained: nn.Module) -> None:
        torch.save(untrained.state_dict(), tmp_path / "teacher.pt")
        wider = from_checkpoint(tmp_path / "teacher.pt", model={"name": "cnn", "options": {"widths": [8, 32]}})
        with pytest.raises(
            CheckpointError,
            match=r"does not fit the model 'cnn'.*\n.*\n  4\.weight \(32, 8, 3, 3\)  4\.weight \(16, 8, 3, 3\)",
        ):
            prepare(wider, digits, tmp_path)
        other = from_checkpoint(tmp_path / "teacher.pt", model={"name": "mlp"})
        with pytest.raises(CheckpointError, match=r"3\.bias \(10,\)\s+1\.running_mean"):
            prepare(other, digits, tmp_path)

    def test_another_number_of_classes_is_told_with_both_numbers(self, digits: Dataset, tmp_path: Path) -> None:
        hundred = create_model(settings().model, image_shape=digits.image_shape, classes=100)
        torch.save(hundred.state_dict(), tmp_path / "teacher.pt")
        with pytest.raises(CheckpointError, match=r"distinguishes 100 classes, but the data set has 10"):
            prepare(from_checkpoint(tmp_path / "teacher.pt"), digits, tmp_path)


class TestCheck:
    def test_a_missing_checkpoint_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"`checkpoint` must be a file, but there is none at .*gone\.pt"):
            check_teacher(from_checkpoint(tmp_path / "gone.pt"))

    def test_an_unknown_model_is_named(self) -> None:
        with pytest.raises(ModelError, match="there is no model 'cnnn'"):
            check_teacher(settings(model={"name": "cnnn"}))

    def test_a_wrong_option_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r"`teacher\.model\.options\.depth` is not a known setting"):
            check_teacher(settings(model={"name": "cnn", "options": {"depth": 3}}))

    def test_loads_no_torch(self) -> None:
        code = (
            "import sys; from trainables.config import TeacherSettings; from trainables.teacher import check_teacher;"
            "check_teacher(TeacherSettings.parse({'model': {'name': 'cnn'}, 'training': {}}));"
            "print([m for m in ('torch', 'sklearn') if m in sys.modules])"
        )
        root = Path(__file__).parents[3]
        done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
