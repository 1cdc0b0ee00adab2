"""The command line as its user meets it, above all when something is wrong."""

import dataclasses
import errno
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import click
import numpy as np
import pytest
import torch
from PIL import Image

from policies import FAMILIES, create_policy
from policies.document import policy_document
from search.cli import main
from search.cli.program import COMMANDS, cli
from search.records.search import SearchRecord, TrialRecord
from search.settings.launch import Launch
from search.settings.search_file import load_config
from search.store.checks import check_config
from search.store.folder import SearchStore
from tests.search.tiny import TINY, tiny_config
from trainables.records.trial import TrialHistory

RUNNING = importlib.import_module("search.run")  # `search.run` is the function

HEAVY = ("torch", "ray", "mlflow", "optuna", "matplotlib", "sklearn")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, cache):
    """Run `kd-search` in this process and in a folder of its own; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for variable in ("MLFLOW_TRACKING_URI", "KD_SEARCH_CACHE", "KD_SEARCH_DATA"):
        monkeypatch.delenv(variable, raising=False)

    def call(*arguments):
        extra = ["--cache", str(getattr(call, "cache", cache))] if arguments[0] in ("run", "resume") else []
        monkeypatch.setattr(sys, "argv", ["kd-search", *arguments, *extra])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def tiny(*overrides):
    return [part for setting in [*TINY, *overrides] for part in ("--set", setting)]


def picture_folder(root, classes=("cat", "dog", "owl"), count=12):
    generator = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = generator.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "trials_per_famly=3"], "Did you mean 'trials_per_family'"),
        (["--set", "training.learning_rate=-1"], "`training.learning_rate` should be greater than 0, but got -1"),
        (["--set", 'families=["fxed"]'], "Did you mean 'fixed'"),
        (["--set", "data.name=mnist"], "`data.name`: must be one of 'digits'"),
        (["--set", "student.name=resnt20"], "Did you mean 'resnet20'"),
        (["--set", "student.name=resnt20"], "`student.name`: there is no model"),
        (["--set", "student.options.hiden=[3]"], "`student.options.hiden` is not a known setting"),
        (["--set", 'space.students.wide={name="mlpp"}'], "`space.students.wide.name`: there is no model 'mlpp'"),
        (["--set", "teacher.model.name=torchvision/resnet1"], "`teacher.model.name`: torchvision has no"),
        (["--tracking-uri", "ftp://example/x"], "ftp"),
        (["--tracking-uri", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["--tracking-uri", "sqlite:////etc/hostname/mlflow.db"], "/etc/hostname"),
        (["--set", "data.name=cifar10", "--set", "data.download=false"], "cifar"),
        (["--set", "data.name=image-folder", "--set", "data.root=/no/such/folder"], "/no/such/folder"),
        (["--storage", "sftp://x/y"], "cannot be opened"),
        (["--storage", "s3://"], "`--storage` 's3://' names no bucket; give one"),
        # Nobody can make a file in /proc, not even root, whom no permission stops.
        (["--storage", "/proc/none"], "`--storage` '/proc/none' cannot be written"),
        (["--output", "/proc/none"], "`--output`: '/proc/none' cannot be written"),
        (["--tracking-uri", "sqlite:////proc/none.db"], "'/proc' is not writable"),
    ],
)
def test_a_mistake_costs_one_message_and_exit_code_2(arguments, message, run):
    code, out, err = run("run", "digits-quick", *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in out + err


def test_a_dry_run_says_what_a_search_takes_and_writes_nothing(run, tmp_path, cache):
    settings = tiny("trials_per_family=100", "budget=1s")
    code, out, err = run("run", "digits-quick", "--dry-run", "--confirm", *settings)
    assert code == 0, err
    steps = int(re.search(r"The search trains at most 208 students for (\d+) steps each", out).group(1))
    assert f"{208 * steps:,} in all." in out
    assert "A step takes " in out
    assert "The budget of 1s is enough for about " in out
    assert "The confirmation trains about 80 students more" in out
    assert list(tmp_path.iterdir()) == []
    code, checked, _ = run("check", "digits-quick", *settings, "--cache", str(cache))
    measured = ("A step takes", "The budget", "The confirmation", "A confirmation comes on top")
    told = [text[text.index("Searched:") :].splitlines() for text in (out, checked)]
    kept = [[line for line in lines if not line.startswith(measured)] for lines in told]
    assert kept[0] == kept[1]


def test_all_that_is_missing_is_told_at_once(run):
    settings = (
        "student.name=resnt20",
        "teacher.model.name=torchvision/resnet1",
        "data.name=cifar10",
        "data.download=false",
    )
    code, _, err = run("run", "digits-quick", *(part for setting in settings for part in ("--set", setting)))
    assert code == 2
    assert "`student.name`: there is no model" in err
    assert "`teacher.model.name`: torchvision has no" in err
    assert "cifar-10" in err


def test_a_cache_that_cannot_be_written_is_told_before_anything_starts(run, tmp_path, monkeypatch):
    monkeypatch.setattr(RUNNING, "run_search", lambda *_: pytest.fail("the search has begun"))
    run.cache = "/proc/none"
    code, _, err = run("run", "digits-quick")
    assert code == 2
    assert "`--cache`: '/proc/none/teachers' cannot be written" in err


def test_a_cache_that_holds_teachers_need_not_be_written(tmp_path, monkeypatch):
    def refuse(folder):
        assert folder == tmp_path / "runs"

    monkeypatch.setattr("search.store.checks.check_creatable", refuse)
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache")
    launch.cache.mkdir(parents=True)
    (launch.cache / "known.pt").touch()
    check_config(load_config("digits-quick"), launch)
    (launch.cache / "known.pt").unlink()
    with pytest.raises(AssertionError):
        check_config(load_config("digits-quick"), launch)


def test_a_storage_that_cannot_be_read_is_one_message(run, monkeypatch):
    def unreachable(*_):
        raise OSError("AWS Error NETWORK_CONNECTION")

    monkeypatch.setattr(
        "search.store.folder._open", lambda storage: (SimpleNamespace(get_file_info=unreachable), "bucket")
    )
    code, _, err = run("status", "mine", "--storage", "s3://bucket")
    assert code == 2
    assert "`--storage` 's3://bucket' cannot be read: AWS Error NETWORK_CONNECTION" in err


def test_a_missing_search_may_be_on_the_cluster_that_the_environment_names(run, monkeypatch):
    assert "--address" not in run("status", "job1")[2]
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265")
    code, _, err = run("status", "job1")
    assert code == 2
    assert "there is no search 'job1' in 'runs'" in err
    assert "`kd-search status job1 --address http://head:8265`" in err


def test_what_is_missing_is_told_with_the_variable_that_could_hold_it(run, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    shared = ("submit", "digits-quick", "--storage", "/shared")
    assert "'RAY_API_SERVER_ADDRESS'" in run(*shared)[2]
    assert "'MLFLOW_TRACKING_URI'" in run(*shared, "--address", "http://127.0.0.1:9")[2]
    assert "'RAY_API_SERVER_ADDRESS'" in run("logs", "mine")[2]


def test_a_name_is_text_whatever_it_looks_like(run, monkeypatch):
    searched = []
    monkeypatch.setattr("search.cli.search.search_with", lambda config, *_, **__: searched.append(config.name))
    for name in ("2024", "true", "1e3"):
        code, _, err = run("run", "digits-quick", "--name", name)
        assert code == 0, err
    assert searched == ["2024", "true", "1e3"]


def test_the_page_opens_on_the_search_that_is_named(run, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("search.cli.mlflow.serve_ui", lambda uri, *_, search, **__: opened.append((uri, search)))
    launch = dataclasses.replace(
        Launch.on_this_machine(tmp_path / "runs", tmp_path), tracking_uri="http://its-own:5000"
    )
    record = SearchRecord(name="tiny", config=tiny_config().model_dump(mode="json"))
    SearchStore(launch.storage, "tiny").write_header(record, launch)
    assert run("ui", "tiny")[0] == 0
    assert run("ui", "other", "--tracking-uri", "http://there:5000")[0] == 0  # submitted: its folder is not seen here
    assert opened == [("http://its-own:5000", "tiny"), ("http://there:5000", "other")]
    assert "there is no search 'tinny'" in run("ui", "tinny")[2]


def test_to_look_at_a_store_makes_none(run, tmp_path):
    code, _, err = run("ui", "--output", "mistyped")
    assert code == 2
    assert "there is no MLflow store" in err
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("arguments", [["recipes", "digits-quick"], ["policies", "--all"]])
@pytest.mark.parametrize("module", ["search", "search.cli"])
def test_a_reader_who_has_had_enough_is_no_failure(module, arguments):
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=written, stderr=subprocess.PIPE, check=False
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_recipe_for_ones_own_pictures_asks_for_their_folder(run):
    code, out, err = run("run", "image-folder")
    assert code == 2, out
    assert "`root` must be a folder of pictures, but there is no folder '/path/to/pictures'" in err


def test_a_missing_checkpoint_is_told_before_anything_starts(run, tmp_path):
    search = tmp_path / "mine.toml"
    search.write_text(
        'name = "mine"\n[teacher]\ncheckpoint = "none.pt"\nmodel = { name = "cnn" }\n[student]\nname = "mlp"\n'
    )
    code, _, err = run("run", str(search))
    assert code == 2
    assert "none.pt" in err


@pytest.mark.parametrize("kind", ["unreadable picture", "unreadable checkpoint", "other classes"])
def test_what_shows_only_on_reading_is_told_before_any_trial(kind, run, tmp_path):
    root = picture_folder(tmp_path / "pictures")
    checkpoint = tmp_path / "teacher.pt"
    from trainables.config.trial import ModelSettings
    from trainables.models import create_model

    teacher = create_model(ModelSettings(name="mlp", options={"hidden": [8]}), image_shape=(3, 16, 16), classes=3)
    torch.save(teacher.state_dict(), checkpoint)
    if kind == "unreadable picture":
        (root / "dog" / "7.png").write_bytes(b"not a picture")
        expected = ("7.png",)
    elif kind == "unreadable checkpoint":
        checkpoint.write_bytes(b"not a checkpoint")
        expected = ("teacher.pt",)
    else:
        other = create_model(ModelSettings(name="mlp", options={"hidden": [8]}), image_shape=(3, 16, 16), classes=5)
        torch.save(other.state_dict(), checkpoint)
        expected = ("5", "3")
    search = tmp_path / "mine.toml"
    search.write_text(f"""
name = "mine"
[data]
name = "image-folder"
root = "{root}"
image_size = 16
validation_size = 6
[teacher]
checkpoint = "{checkpoint}"
model = {{ name = "mlp", options = {{ hidden = [8] }} }}
[student]
name = "mlp"
""")
    code, out, err = run("run", str(search))
    assert code == 2, out + err
    assert all(word in err for word in expected), err
    assert not (tmp_path / "runs" / "mine").exists()  # nothing is left of a search that has not begun
    assert "Traceback" not in out + err


def test_unknown_searches_are_answered_with_those_there_are(run, tmp_path):
    for command in ("report", "status", "resume", "sync", "explain"):
        code, _, err = run(command, "nothing")
        assert code == 2, command
        assert "there is no search 'nothing'" in err


@pytest.mark.parametrize("others", ["127.0.0.1", "0.0.0.0"])
def test_a_page_is_not_announced_where_somebody_else_answers(others, run):
    with socket.socket() as other:
        other.bind((others, 0))
        other.listen()
        port = other.getsockname()[1]
        code, out, err = run("ui", "--port", str(port))
    assert code == 2
    assert f"127.0.0.1:{port} is already in use" in err
    assert "--port" in err
    assert out == ""
    code, _, err = run("ui", "--host", "no-such-host.invalid")
    assert code == 2
    assert "`--host` 'no-such-host.invalid'" in err
    assert run("ui", "--port", "70000")[0] == 2


def test_a_search_whose_driver_was_killed_is_reported_as_stopped(run, tmp_path):
    store = SearchStore(str(tmp_path / "out"), "tiny")
    record = SearchRecord(name="tiny", config=tiny_config().model_dump(mode="json"), status="running")
    places = {"address": None, "tracking_uri": "", "experiment": "e", "cache": tmp_path, "data_root": tmp_path}
    store.write_header(record, Launch(output=tmp_path / "out", storage=store.storage, **places))
    code, out, err = run("report", "tiny", "--output", store.storage)
    words = " ".join(out.split())
    assert code == 0, err
    assert "The search was stopped with at most 8 trials to go" in words
    assert f"kd-search resume tiny --output {store.storage}" in out
    with store.locked():
        assert "kd-search resume" not in run("report", "tiny", "--output", store.storage)[1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_message(run, monkeypatch, number):
    def full(name):
        raise OSError(number, os.strerror(number), name)

    monkeypatch.setattr("search.cli.lists.read_recipe", full)
    code, _, err = run("recipes", "digits-quick")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{os.strerror(number)}: 'digits-quick'. The files written so far are complete. Make room" in err


def test_any_other_failure_of_a_file_is_no_full_disk(run, monkeypatch):
    def damaged(name):
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    monkeypatch.setattr("search.cli.lists.read_recipe", damaged)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        run("recipes", "digits-quick")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), "finished", "kd-search confirm tiny"),
        (("--confirm",), "finished", None),  # it is confirmed at once
        (("--confirm",), "stopped", "kd-search resume tiny"),
    ],
)
def test_a_search_tells_what_to_type_next_unless_that_is_under_way(arguments, status, told, run, tmp_path, monkeypatch):
    policy = create_policy("fixed", {"weight": 0.5})
    trial = TrialRecord(
        trial_id="1", number=1, status="finished", family="fixed", parameters=policy.values(), shared={},
        rule=policy.rule(), complexity=1, history=TrialHistory(score=0.9),
    )  # fmt: skip
    search = SearchRecord(name="tiny", config=tiny_config().model_dump(mode="json"), status=status, trials=(trial,))
    outcome = SimpleNamespace(search=search, page=tmp_path / "report.html", mlflow="http://localhost:5000")
    monkeypatch.setattr(RUNNING, "run_search", lambda *_: outcome)
    confirmed = []
    monkeypatch.setattr("search.cli.search.confirm_with", lambda name, *_: confirmed.append(name))
    code, out, _ = run("run", *tiny(), *arguments)
    assert (code, confirmed) == ((0, ["tiny"] if arguments else []) if status == "finished" else (130, []))
    typed = [line for line in out.splitlines() if "kd-search" in line]
    assert (told in " ".join(typed)) if told else not typed


def test_an_unknown_option_is_a_usage_error(run):
    code, _, err = run("run", "--sett", "x=1")
    assert code == 2
    assert "--set" in err


def test_a_policy_file_is_printed_as_plain_pytorch(run, tmp_path):
    document = policy_document(create_policy("norm_balance", {}), temperature=3.0)
    (tmp_path / "policy.json").write_text(json.dumps(document))
    code, out, err = run("export", str(tmp_path / "policy.json"))
    assert (code, err) == (0, "")
    assert "T = 3.0" in out
    compile(out, "rule.py", "exec")
    code, _, err = run("export", str(tmp_path / "policy.json"), "--onnx")
    assert code == 2
    assert "holds a rule and no student" in err


def test_policies_are_listed_in_a_line_each(run):
    code, out, _ = run("policies")
    assert code == 0
    lines = out.splitlines()
    for family in FAMILIES:
        (line,) = [line for line in lines if line.split()[:1] == [family]]
        assert len(line.split()) > 3
    assert len(lines) < 2 * len(FAMILIES)
    headings = {line for line in lines if line.endswith(":")}
    assert "One λ for each sample, from its logits or other outputs:" in headings
    assert "One λ per step, from the gradients:" in headings
    assert "One λ per step, from how often the teacher has been right:" in headings


def test_a_policy_is_told_whole_by_its_name_or_an_alias(run):
    code, out, _ = run("policies", "cosine_threshold")
    assert code == 0
    assert all(word in out for word in ("threshold", "measure_every", "Source:", "By default: λ = 0.9 while"))
    assert "norm_balance" not in out
    code, out, _ = run("policies", "imtl_g")
    assert out.startswith("imtl_g is an alias of `norm_balance` with balance=1.0.\n")
    assert "norm_balance:" in out
    code, _, err = run("policies", "norm_balanc")
    assert code == 2
    assert "Did you mean 'norm_balance'?" in err
    code, out, _ = run("policies", "--all")
    assert all(f"{family}:" in out for family in FAMILIES)
    assert out.count("Source:") == len(FAMILIES)


def test_policies_are_listed_for_programs(run):
    code, out, _ = run("policies", "--json")
    assert code == 0
    listed = {entry["family"]: entry for entry in json.loads(out)}
    assert set(listed) == set(FAMILIES)
    threshold = next(p for p in listed["cosine_threshold"]["parameters"] if p["name"] == "threshold")
    assert threshold["search"] == [-0.5, 0.9]
    assert threshold["meaning"]
    assert listed["cosine_threshold"]["source"]
    assert listed["gradnorm"]["needs"] == ["geometry", "losses"]
    assert set(listed["tree"]["needs"]) == {"progress", "geometry", "losses", "teacher"}
    assert json.loads(run("policies", "tree", "--json")[1]) == listed["tree"]


def test_recipes_are_listed_and_printed_as_a_start_for_ones_own(run, tmp_path):
    _, out, _ = run("recipes")
    assert out.split() == [
        "cifar100-resnet56-resnet20",
        "digits-quick",
        "fashion-mnist",
        "image-folder",
        "unreliable-batches",
        "unreliable-batches-digits",
        "unreliable-samples",
        "unreliable-samples-digits",
        "unseen-classes-digits",
    ]
    _, text, _ = run("recipes", "digits-quick")
    (tmp_path / "mine.toml").write_text(text)

    assert load_config("mine.toml") == load_config("digits-quick")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["policies"],
        ["recipes"],
        ["run", "digits-quick", "--set", "x=1"],
        ["status", "unknown"],
        ["report", "unknown"],
    ],
)
def test_help_listing_and_mistakes_import_nothing_heavy(arguments):
    code = f"""
import sys
sys.argv = ["kd-search", *{arguments!r}]
from search.cli import main
try:
    main()
except SystemExit:
    pass
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.stderr.write(" ".join(loaded))
sys.exit(bool(loaded))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "PASSIVE 1000"),
        ({"GOMP_SPINCOUNT": "5"}, "PASSIVE 5"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
    ],
)
def test_threads_soon_sleep_while_they_wait_unless_the_user_says_otherwise(given, expected):
    code = """
import os, sys
from search.cli import main
assert "torch" not in sys.modules
sys.argv = ["kd-search", "recipes"]
try:
    main()
finally:
    sys.stderr.write(f"{os.environ['OMP_WAIT_POLICY']} {os.environ.get('GOMP_SPINCOUNT')}")
"""
    inherited = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment = inherited | given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == expected


def test_a_whole_search_from_the_command_line(run, tmp_path):
    code, out, err = run("run", "digits-quick", *tiny())
    assert code == 0, err
    assert "8 of at most 8 trials done" in out
    assert "Configuration for experiment" not in out  # Tune's own reports
    assert "norm balance" in out
    assert (tmp_path / "runs/tiny/report/report.html").exists()
    assert (tmp_path / "runs/mlflow.db").exists()

    code, out, _ = run("status", "tiny", "--json")
    state = json.loads(out)
    assert (state["status"], state["finished"], state["trials"]) == ("finished", 8, 8)
    assert state["best_rule"].startswith("λ")

    code, out, err = run("resume", "tiny", "--dry-run", "--set", "trials_per_family=6")
    assert code == 0, err
    assert "The search trains at most 20 students" in out
    assert "Of these trainings 16 have ended, so at most 4 are left: about " in out
    assert json.loads(run("status", "tiny", "--json")[1])["trials"] == 8

    code, out, _ = run("report", "tiny", "--json")
    assert json.loads(out)["name"] == "tiny"

    code, out, err = run("explain", "tiny")
    assert code == 0, err
    assert state["best_rule"] in out
    png, svg = (tmp_path / path for path in out.splitlines()[-1].removeprefix("figure: ").split(", "))
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
    code, out, _ = run("explain", "tiny/3", "--json")
    assert json.loads(out)["title"] == "trial 3 of tiny"
    for unknown in ("tiny/99", "tiny/x"):
        code, _, err = run("explain", unknown)
        assert code == 2
        assert "its trials are 1 to 8" in err

    code, _, err = run("export", "tiny")
    assert code == 2
    assert "`kd-search confirm tiny`" in err
    assert "kd-search export runs/tiny/report/policy.json" in err
    assert run("export", "runs/tiny/report/policy.json")[0] == 0

    code, out, _ = run("sync", "tiny")
    assert code == 0
    again = run("sync", "tiny")
    assert again[0] == 0
    elsewhere = ("sync", "tiny", "--tracking-uri", f"sqlite:///{tmp_path}/new/mlflow.db")
    code, _, err = run(*elsewhere)
    assert code == 0, err
    assert f"there is no MLflow store '{tmp_path}/new/mlflow.db' yet; creating it" in err
    assert "creating it" not in run(*elsewhere)[2]

    code, _, err = run("run", "digits-quick", *tiny())
    assert code == 2
    assert "kd-search resume tiny" in err

    code, _, err = run("run", "fashion-mnist", "--name", "tiny", "--resume")
    assert code == 2
    first, *changes, remedy = err.splitlines()
    assert first == "error: a search 'tiny' has begun with other settings:"
    assert len(changes) == 6
    assert all(len(change) < 200 for change in changes)
    assert changes[-1].startswith("  and ")
    assert "--name" in remedy


def test_worth_of_a_file_searches_and_confirms_constants_alone_and_a_second_call_reads_that(run, tmp_path, monkeypatch):
    """Search and confirmation take minutes, so they are replaced."""
    done = []
    monkeypatch.setattr("search.cli.worth.search_with", lambda config, launch, **_: done.append(config))
    monkeypatch.setattr("search.cli.worth.confirm_with", lambda name, launch, settings: done.append(name))
    record = SearchRecord(name="digits-quick-worth", config=tiny_config(), status="finished")
    launch = Launch.on_this_machine(tmp_path, tmp_path / "cache", "test")
    run("worth", "digits-quick", "--set", "replicates=2", "--output", str(tmp_path))
    config, name = done
    assert name == config.name == "digits-quick-worth"
    assert config.families == ("fixed",)
    assert config.replicates == 2

    SearchStore(launch.storage, name).write_header(record, launch)
    code, _, err = run("worth", "digits-quick", "--output", str(tmp_path))
    assert code == 2
    assert "has begun with other settings" in err


def test_worth_is_one_line_and_the_command_that_would_answer_it(run, tmp_path):
    record = SearchRecord(name="tiny", config=tiny_config(), status="finished")
    launch = Launch.on_this_machine(tmp_path, tmp_path / "cache", "test")
    SearchStore(launch.storage, "tiny").write_header(record, launch)
    code, out, _ = run("worth", "tiny", "--output", str(tmp_path))
    assert code == 0
    assert out.startswith("Whether distillation pays here is not confirmed")
    code, out, _ = run("worth", "tiny", "--json", "--output", str(tmp_path))
    assert json.loads(out)["kind"] == "unconfirmed"


def test_the_help_has_every_command_under_its_own_name():
    context = click.Context(cli)
    assert cli.list_commands(context) == [name for section in COMMANDS.values() for name in section]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert (command.name, command.callback.__name__) == (name, name)
    assert cli.get_command(context, "serch") is None
