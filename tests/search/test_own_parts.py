"""A search on pictures with parts of the user's own: their files travel as text, and are gone when it is confirmed."""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import torch

from search.cluster import settings_from, settings_text
from search.confirm import Champion, confirm_search, read_confirmation
from search.confirm.champion import choose_champion
from search.confirm.champion_files import student_reader, write_champion
from search.evidence import judge
from search.prepare import prepare_ground, rehearse
from search.records import Listener
from search.report.tables.settings import settings_rows
from search.run.search import run_search
from search.settings import load_config, without_texts
from search.store import SearchStore, check_config, check_unchanged, read_search
from tests.search.tiny import QuietListener
from trainables.classifier import load_classifier
from trainables.errors import CheckpointError, ConfigError, KDPolicySearchError

MODEL = """
from torch import nn


class Net(nn.Module):  # a text that no report shows
    def __init__(self, image_shape, classes, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(image_shape[0], width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(width * 16, classes)

    def forward(self, x):
        return self.head(self.layers(x))


def wide(image_shape, classes):
    return Net(image_shape, classes, 16)
"""
DATA = """
from sklearn.datasets import load_digits


def load(count=1797):  # a text that no report shows
    digits = load_digits()
    return {"train": (digits.images[:count] / 16, digits.target[:count]), "classes": list("abcdefghij")}
"""
VIEWS = """
import torch


def view(picture, generator):  # a text that no report shows
    return torch.roll(picture, int(torch.randint(-1, 2, (), generator=generator)), 2)
"""
SEARCH = """
name = "parts"
families = ["fixed", "norm_balance"]
trials_per_family = 2
replicates = 2
evaluations = 2
trace_points = 4
constant.most_trials = 3
confirm.seeds = 2
data = { name = "my_data.py:load", options = { count = 900 }, train_size = 100, validation_size = 200 }
student = { name = "parts/my_model.py:Net", options = { width = 3 } }
augmentation = { function = "my_views.py:view", views = 2 }

[space.students.wide]
name = "parts/my_model.py:wide"

[teacher]
model = { name = "parts/my_model.py:wide" }
training = { epochs = 2 }
normalization = { mean = [0.5], std = [0.5] }
augmentation = { function = "my_views.py:view", views = 3 }

[training]
epochs = 3
batch_size = 25
"""


def write_project(folder):
    (folder / "parts").mkdir(parents=True)
    for name, text in {
        "parts/my_model.py": MODEL,
        "my_data.py": DATA,
        "my_views.py": VIEWS,
        "parts.toml": SEARCH,
    }.items():
        (folder / name).write_text(text)
    return folder / "parts.toml"


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


@pytest.fixture(scope="module")
def confirmed(launch, tmp_path_factory):
    """Search and confirm a project whose files are deleted as soon as the search file was read."""
    file = write_project(tmp_path_factory.mktemp("parts") / "project")
    config = load_config(str(file))
    shutil.rmtree(file.parent)
    outcome = run_search(config, launch, QuietListener())
    confirm_search("parts", launch, Listener(), config.confirm)
    return outcome


def test_files_are_read_relative_to_the_search_file_and_named_without_folders(project):
    config = load_config(str(project))
    assert (config.student.name, config.student.source) == ("my_model.py:Net", MODEL)
    assert config.students["wide"].source == MODEL
    assert config.teacher.model.source == MODEL
    assert (config.data.name, config.data.source) == ("my_data.py:load", DATA)
    assert config.augmentation.source == config.teacher.augmentation.source == VIEWS
    assert config.data_name == "my_data.py:load"
    assert config.teacher_name == "my_model.py:wide"


def test_a_search_runs_and_is_confirmed_without_the_files(confirmed, launch):
    store = SearchStore(launch.storage, "parts")
    search, record = read_search(store), read_confirmation(store)
    assert search.status == "finished"
    assert record.complete
    assert record.test_size == 180
    assert record.pictures.classes == tuple("abcdefghij")
    assert len(search.student_sizes) == 2
    assert search.teacher_accuracy > 0.5
    assert store.config().student.source == MODEL


def test_reports_name_the_files_and_do_not_show_them(confirmed, launch):
    page, folder = confirmed.page.read_text(), confirmed.page.parent
    told = page + (folder / "report.json").read_text()
    assert "my_model.py:Net" in told
    assert "a text that no report shows" not in told
    config = json.loads((folder / "report.json").read_text())["config"]
    assert config["data"] == {**config["data"], "name": "my_data.py:load", "options": {"count": 900}}
    rows = dict(settings_rows(read_search(SearchStore(launch.storage, "parts")).config))
    assert rows["student.name"] == "my_model.py:Net"
    assert not [name for name in rows if name.endswith("source")]


def champion_of(launch) -> Champion:
    store = SearchStore(launch.storage, "parts")
    search, record = read_search(store), read_confirmation(store)
    judgement = judge(search, record)
    verdict = judgement.verdict.model_copy(update={"winner": record.finalists[0].key})
    return choose_champion(record, judgement.model_copy(update={"verdict": verdict}), search.config)


def test_the_champion_is_loaded_as_its_card_says(confirmed, launch, tmp_path):
    store = SearchStore(launch.storage, "parts")
    champion = champion_of(launch)
    folder = write_champion(champion, student_reader(store), tmp_path / "champion")
    assert (folder / "my_model.py").read_text() == MODEL
    card = (folder / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0].replace("logits = student(pictures)", "")
    code += "import torch\nprint(student(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape, student.classes[1])\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["torch.Size([2,", "10])", "b"], done.stderr
    with pytest.raises(CheckpointError, match=r"a network of your own, so it must be given: load_classifier\(path, "):
        load_classifier(folder / "student.pt")
    assert MODEL.encode() not in (folder / "student.pt").read_bytes()


def test_a_stored_search_is_read_without_running_the_files(project):
    values = load_config(str(project)).model_dump(mode="json")
    for part in (values["student"], values["data"], values["augmentation"], values["teacher"]["model"]):
        part["source"] = "1 / 0"
    from search.settings import stored_config

    assert stored_config(values).student.source == "1 / 0"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("student.name=none.py:Net", "cannot read .*none.py"),
        ("student.name=parts/my_model.py", r"`student\.name`: a model of your own is given as FILE\.py:NAME"),
        ("data.name=my_data.py:load:x", r"`data\.name`: a data set of your own is given as FILE\.py:NAME"),
        ("augmentation.function=view", r"`function` must be FILE\.py:FUNCTION"),
        ("augmentation.flip=true", "`flip` and `crop_padding` do not apply beside `function`"),
        ("data.root=here", "`root` does not apply to a function of your own"),
        ("student.options.widht=3", r"Net takes no option 'widht'.*Did you mean 'width'"),
        ("data.options.cuont=3", r"load takes no option 'cuont'.*Did you mean 'count'"),
        ("teacher.model.name=parts/my_model.py:wider", r"no function or class 'wider'.*Did you mean 'wide'"),
        ("student.checkpoint=gone.pt", r"`student\.checkpoint` must be a file, but there is none at 'gone\.pt'"),
        ("teacher.model.checkpoint=gone.pt", r"`teacher\.model\.checkpoint` must be a file"),
        ("teacher.weights=ema", "`weights` chooses among those of a `checkpoint`"),
    ],
)
def test_mistakes_are_told_before_data_are_loaded(project, launch, override, message):
    with pytest.raises(KDPolicySearchError, match=message):
        check_config(load_config(str(project), [override]), launch)


def test_a_students_mistake_is_told_before_the_teacher_is_trained(project, launch):
    text = MODEL.replace("self.head(self.layers(x))", "self.head(self.layers(x)), 1")
    (project.parent / "parts" / "broken.py").write_text(text)
    config = load_config(str(project), ["space.students.wide.name=parts/broken.py:wide"])
    listener = QuietListener()
    with pytest.raises(KDPolicySearchError, match=r"space\.students\.wide.*must give logits|does not fit"):
        rehearse(config, launch, listener)
    assert listener.teacher_news == []


def test_a_changed_file_is_another_search(project):
    before = load_config(str(project))
    (project.parent / "parts" / "my_model.py").write_text(MODEL.replace("width=4", "width=5"))
    now = load_config(str(project))
    with pytest.raises(Exception, match=r"the file of my_model\.py:Net \(student\) has changed: line 6 was") as caught:
        check_unchanged(now, before)
    assert "stride" not in str(caught.value)
    check_unchanged(now, now)


PAGE = pathlib.Path(__file__).parents[2] / "docs" / "your-own-training.md"


def test_the_example_of_the_page_passes_the_check_command(tmp_path):
    text = PAGE.read_text(encoding="utf-8").split("## Only a part of your own")[1]
    files = dict(re.findall(r"`(my_\w+\.py)`:\n\n```python\n(.*?)```", text, flags=re.DOTALL))
    assert set(files) == {"my_model.py", "my_data.py", "my_views.py"}
    files["mine.toml"] = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[0]
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "search",
        "check",
        str(tmp_path / "mine.toml"),
        "--set",
        "teacher.training.epochs=2",
    ]
    places = ["--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "runs")]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False, cwd=PAGE.parents[1])
    assert done.returncode == 0, done.stderr
    assert "Repeatable: two trainings under one seed gave the same student" in done.stdout


def test_long_settings_are_sent_compressed(project):
    long = f"{MODEL}\n# {'x' * 25_000}\n"
    (project.parent / "parts" / "my_model.py").write_text(long)
    config = load_config(str(project))
    text = settings_text(config)
    assert len(text) < 30_000 < len(config.model_dump_json())
    assert settings_from(text) == config
    short = load_config("digits-quick")
    assert json.loads(settings_text(short))["name"] == "digits-quick"
    assert settings_from(settings_text(short)) == short


def test_without_texts_keeps_options_called_source():
    values = {
        "data": {"name": "a.py:f", "source": "text", "options": {"source": "here"}},
        "kpis": [{"origin": "b", "source": "c"}],
    }
    assert without_texts(values) == {
        "data": {"name": "a.py:f", "options": {"source": "here"}},
        "kpis": [{"origin": "b"}],
    }


def pretrained(folder, classes=10):
    spec = importlib.util.spec_from_file_location("their_model", folder / "parts" / "my_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(11)
    network = module.Net((1, 8, 8), classes, 3)
    torch.save({"state_dict": {f"module.{name}": t for name, t in network.state_dict().items()}}, folder / "begin.pt")
    return network


def test_a_pretrained_student_begins_with_its_weights(project, launch):
    from search.prepare import prepare
    from trainables.device import select_compute
    from trainables.training import data_on_device

    network = pretrained(project.parent)
    config = load_config(str(project), [f"student.checkpoint={project.parent / 'begin.pt'}"])
    listener = QuietListener()
    prepared = prepare(config, launch, listener, None)
    data = data_on_device(prepared.assets, select_compute(config.device))
    student = data.create_student(config.student)
    assert all(torch.equal(student.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
    plain = prepare(load_config(str(project)), launch, listener, None)
    assert "other weights that students begin with" in prepared.foundation.mismatch(plain.foundation.text)
    ground = prepare_ground(config, launch, listener)
    assert ground.foundation == prepared.foundation


def test_a_pretrained_student_of_other_classes_gets_a_new_last_layer(project, launch):
    from search.prepare import prepare
    from trainables.device import select_compute
    from trainables.training import data_on_device

    network = pretrained(project.parent, classes=37)
    config = load_config(str(project), [f"student.checkpoint={project.parent / 'begin.pt'}"])
    listener = QuietListener()
    data = data_on_device(prepare(config, launch, listener, None).assets, select_compute(config.device))
    assert any("that layer begins with random weights" in stage for stage in listener.stages)
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        student = data.create_student(config.student)
        heads.append(student.head.weight)
        assert torch.equal(student.layers[0].weight, network.layers[0].weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_teachers_training_may_begin_with_weights(project, launch):
    from search.prepare import prepare

    pretrained(project.parent)
    overrides = ["teacher.model.name=parts/my_model.py:Net", "teacher.model.options.width=3"]
    plain = prepare(load_config(str(project), overrides), launch, QuietListener(), None)
    begun = [*overrides, f"teacher.model.checkpoint={project.parent / 'begin.pt'}"]
    other = prepare(load_config(str(project), begun), launch, QuietListener(), None)
    assert other.foundation.teacher != plain.foundation.teacher
    with pytest.raises(ConfigError, match="remove one of them"):
        load_config(str(project), [*begun, "teacher.checkpoint=teacher.pt"])


def test_another_process_prepares_own_parts_as_this_one_does(project, launch, tmp_path):
    """The teacher is asked where there is a GPU, if a cluster's driver sees none; its class then comes by name."""
    code = """
import functools, pathlib, sys
from search.cluster import ray_session
from search.prepare.preparation import load_told
from search.prepare.test_pictures import _ground, ground_elsewhere
from search.records import Listener
from search.settings import Launch, load_config

config = load_config(sys.argv[1])
launch = Launch.on_this_machine(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), "test")
work = functools.partial(_ground, config, load_told(config, launch, Listener()), launch)
with ray_session(None):
    ground = ground_elsewhere(config, work, Listener(), gpus=0)
print(type(ground.teacher.network).__name__, ground.foundation.text)
"""
    config = load_config(str(project))
    here = prepare_ground(config, launch, Listener())
    command = [sys.executable, "-c", code, str(project), str(tmp_path / "runs"), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PAGE.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Net", here.foundation.text]
