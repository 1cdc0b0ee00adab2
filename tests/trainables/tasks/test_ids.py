"""Samples with ids, and stored outputs that are found by them or stay in their file."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from tests.trainables.tasks.task_data import CPU, data_of, trained, weights
from tests.trainables.tasks.task_files import DIABETES, DIGITS, own
from trainables.errors import DataError
from trainables.records import Objective
from trainables.tasks import MappedRows, Sets, StoredOutputs, create_task, create_teacher, read_sets, samples_of
from trainables.tasks.assets import stored_outputs

ORDER = np.random.default_rng(0).permutation(442)


def samples(rows, ids, name="train"):
    inputs = np.zeros((rows, 2), np.float32)
    return samples_of((inputs, np.zeros(rows)), name, None if ids is None else {name: ids})


@pytest.mark.parametrize("ids", [[3, 1, 2], np.array([3, 1, 2], np.uint8), torch.tensor([3, 1, 2]), lambda: (3, 1, 2)])
def test_ids_are_one_number_a_sample(ids):
    assert samples(3, ids).ids == (3, 1, 2)


def test_ids_may_be_texts():
    assert samples(2, ["ann", "bob"]).ids == ("ann", "bob")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2], "must have one id a sample, 3, but has 2"),
        ([1.5, 2.0, 3.0], "must be a list of whole numbers or texts, but have the type float64"),
        (np.zeros((3, 2), int), r"shape \[3, 2\]"),
        (None, "must have one id a sample|are missing"),
    ],
)
def test_ids_that_do_not_fit_are_refused(ids, message):
    with pytest.raises(DataError, match=message):
        samples_of((np.zeros((3, 2)), np.zeros(3)), "train", {"train": ids})


def with_ids(validation):
    ids = f'ids={{"train": range(240), "validation": {validation}, "test": range(540, 1797)}}'
    return own(DIGITS.replace("test=lambda: (x[540:], y[540:]))", f"test=lambda: (x[540:], y[540:]), {ids})"), "Digits")


def test_sets_that_share_an_id_are_refused():
    task = with_ids("range(240, 540)")
    train, validation, _ = read_sets(task, create_task(task))
    assert train.ids == tuple(range(240))
    assert len(validation.ids) == 300
    task = with_ids("range(238, 538)")
    message = "training and validation set must not share a sample, but have 2 ids in common, 238 for one"
    with pytest.raises(DataError, match=message):
        read_sets(task, create_task(task))


def test_outputs_are_found_by_their_ids():
    outputs = np.arange(20, dtype=np.float32).reshape(10, 2)
    stored = StoredOutputs(outputs=outputs, ids=[f"s{i}" for i in range(10)])
    found = stored_outputs(stored, "validation", samples(3, ["s7", "s0", "s7"], "validation"))
    np.testing.assert_array_equal(found, outputs[[7, 0, 7]])


@pytest.mark.parametrize(
    ("stored", "ids", "message"),
    [
        ({"ids": [1, 2, 3]}, [1, 9, 4], r"lack 2 of 3 samples of the train set, the one with the id 9"),
        ({"ids": [1, 2, 2]}, [1, 2, 2], "must have a different id for each of their 3 rows, but have 3 ids, 2 of them"),
        ({"ids": [1, 2]}, [1, 2, 1], "for each of their 3 rows, but have 2 ids"),
        ({}, [1, 2, 3], "needs `ids`, one a row, and Sets needs `ids`"),
        ({"ids": [1, 2, 3]}, None, "needs `ids`, one a row, and Sets needs `ids`"),
    ],
)
def test_outputs_whose_ids_do_not_fit_are_refused(stored, ids, message):
    with pytest.raises(DataError, match=message):
        stored_outputs(StoredOutputs(outputs=np.zeros((3, 2)), **stored), "train", samples(3, ids))


BY_ID = DIABETES.replace("test=(x[320:], y[320:]))", 'test=(x[320:], y[320:]), ids={"train": range(200),'
    ' "validation": range(200, 320), "test": range(320, 442)})')  # fmt: skip


def test_a_student_learns_the_same_from_outputs_by_id_from_a_file_and_in_memory(tmp_path):
    plain = own(DIABETES, "Diabetes")
    created = create_task(plain)
    stored = create_teacher(plain, created, CPU.device)[0]
    answers = np.concatenate([stored.train, stored.validation, stored.test()])
    np.save(tmp_path / "answers.npy", answers[ORDER].astype(np.float32))
    np.save(tmp_path / "ids.npy", ORDER)
    keyed = BY_ID.replace(
        "return StoredOutputs(train=answers[:200], validation=answers[200:320], test=lambda: answers[320:])",
        f"return StoredOutputs(outputs=np.load({str(tmp_path / 'answers.npy')!r}, mmap_mode='r'),"
        f" ids=np.load({str(tmp_path / 'ids.npy')!r}))",
    )
    assert keyed != BY_ID
    task = own(keyed, "Diabetes")
    data = data_of(task)
    assert isinstance(data.targets, MappedRows)
    goal = {"objective": Objective(name="rmse", direction="minimize")}
    for one, other in zip(weights(trained(plain, **goal)), weights(trained(task, data=data, **goal)), strict=True):
        assert torch.equal(one, other)


def test_mapped_rows_travel_as_a_path_and_read_what_is_asked_for(tmp_path):
    whole = np.random.default_rng(0).random((50_000, 8)).astype(np.float32)
    np.save(tmp_path / "a.npy", whole)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    rows = MappedRows.of(mapped[100:20_100]).taken(np.array([5, 0, 19_999]))
    again = pickle.loads(pickle.dumps(rows))
    assert len(pickle.dumps(rows)) < 1000
    assert again.shape == (3, 8)
    np.testing.assert_array_equal(again[:], whole[[105, 100, 20_099]])
    np.testing.assert_array_equal(np.asarray(again), whole[[105, 100, 20_099]])
    np.testing.assert_array_equal(again[np.array([2, 2])], whole[[20_099, 20_099]])
    np.testing.assert_array_equal(np.concatenate(list(MappedRows.of(mapped).chunks())), whole)


def test_what_is_no_whole_map_is_read_into_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(6, 2))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert MappedRows.of(mapped) is None  # float64 must be converted
    assert MappedRows.of(np.zeros((3, 2), np.float32)) is None
    np.save(tmp_path / "b.npy", np.arange(12, dtype=np.float32).reshape(6, 2))
    assert MappedRows.of(np.load(tmp_path / "b.npy", mmap_mode="r")[::2]) is None


def test_mapped_inputs_stay_in_their_file_and_have_the_digest_of_the_array(tmp_path):
    inputs = np.random.default_rng(0).random((5000, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", inputs)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    one, other = (samples_of((given, np.zeros(5000, int)), "train") for given in (inputs, mapped))
    assert isinstance(other.inputs, MappedRows)
    assert one.digest == other.digest
    assert isinstance(samples_of((mapped, np.zeros(5000, int)), "validation").inputs, np.ndarray)


def test_assets_can_be_read_into_memory_for_other_nodes(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((240, 64), np.float32))
    source = DIGITS.replace(
        "return Sets(train=(x[:240],", f"return Sets(train=(np.load({str(tmp_path / 'x.npy')!r}, mmap_mode='r'),"
    )
    task = own(source, "Digits")
    created = create_task(task)
    train, *_ = read_sets(task, created)
    from trainables.tasks import TaskAssets

    assets = TaskAssets(
        task=task,
        train=train,
        validation=train,
        train_targets=np.zeros(240),
        validation_targets=np.zeros(240),
        classes=(),
        teacher_accuracy=None,
    )
    assert isinstance(assets.train.inputs, MappedRows)
    assert isinstance(assets.in_memory().train.inputs, np.ndarray)
    assert dataclasses.replace(Sets(train=1, validation=2), ids={}).ids == {}
