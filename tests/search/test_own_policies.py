"""A search with the user's own rules: from search file or command line to workers, a report and a resume."""

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys

import pytest

from policies import FAMILIES, PolicyError, load_policy, load_policy_class
from policies.errors import KDPolicySearchError
from search.report.tables.settings import settings_rows
from search.run.search import resume_search, run_search
from search.settings.search_file import SearchConfig, load_config
from search.store.checks import check_own_policies, check_unchanged
from search.store.folder import SearchStore
from tests.search.tiny import TINY, QuietListener
from trainables.config.trial import TrialSettings

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
RULE = (EXAMPLES / "my_rules.py").read_text(encoding="utf-8")
REFERENCE = f"{EXAMPLES / 'my_rules.py'}:AgreementRamp"


@pytest.fixture(autouse=True)
def forgotten():
    """Remove the families that a test registers; give `forget`."""
    before = dict(FAMILIES)
    yield forget
    FAMILIES.clear()
    FAMILIES.update(before)


def forget():
    """Remove the user's families and modules, as if in another process."""
    for family in ("agreement_ramp", "sample_agreement"):
        FAMILIES.pop(family, None)
    for name in [name for name in sys.modules if name.startswith("kd_own_policy_")]:
        del sys.modules[name]


def search_file(folder, lines=(), rule=RULE):
    """Write a search file, and the rules beside it."""
    (folder / "my_rules.py").write_text(rule, encoding="utf-8")
    listed = [line for line in lines if line.startswith("own_policies")]
    path = folder / "mine.toml"
    path.write_text(
        "\n".join(
            [
                *('name = "mine"', *listed, "[teacher.model]", 'name = "cnn"'),
                *("[teacher.training]", "epochs = 2", "[student]", 'name = "mlp"'),
            ]
        )
    )
    return str(path)


def test_a_search_file_names_rules_beside_it_and_their_families_are_added(tmp_path):
    config = load_config(search_file(tmp_path, ['own_policies = ["my_rules.py:AgreementRamp"]']))
    assert config.families[-1] == "agreement_ramp"
    assert config.own_policies[0].origin == "my_rules.py:AgreementRamp"
    assert config.own_policies[0].source == RULE


def test_the_command_lines_rules_are_added_to_the_files(tmp_path, monkeypatch):
    source = search_file(tmp_path, ['own_policies = ["my_rules.py:AgreementRamp"]'])
    monkeypatch.chdir(tmp_path)
    again = ["my_rules.py:SampleAgreement", "my_rules.py:AgreementRamp"]
    config = load_config(source, ['families=["sample_agreement", "fixed"]'], again)
    assert config.families == ("sample_agreement", "fixed", "agreement_ramp")
    assert len(config.own_policies) == 2


def test_a_rule_of_ones_own_has_a_space_like_the_others(tmp_path):
    overrides = ["space.policies.agreement_ramp.least=0.2"]
    config = load_config("digits-quick", overrides, [REFERENCE])
    assert config.space.policies["agreement_ramp"]["least"] == 0.2
    with pytest.raises(KDPolicySearchError, match=r"`agreement_ramp` has no parameter 'lest'.*Did you mean 'least'"):
        load_config("digits-quick", ["space.policies.agreement_ramp.lest=0.2"], [REFERENCE])


def test_the_settings_alone_hold_the_rule(forgotten):
    stored = json.dumps(load_config("digits-quick", (), [REFERENCE]).model_dump(mode="json"))
    forgotten()
    config = SearchConfig.parse(json.loads(stored))
    assert "agreement_ramp" in FAMILIES
    assert config.base_trial().own_policies == config.own_policies


def test_a_process_without_the_file_trains_under_the_rule(tmp_path):
    base = load_config("digits-quick", (), [REFERENCE]).base_trial()
    assert isinstance(base, TrialSettings)
    (tmp_path / "base.pickle").write_bytes(pickle.dumps(base))
    code = f"""
import pathlib, pickle
base = pickle.loads(pathlib.Path({str(tmp_path / "base.pickle")!r}).read_bytes())
from trainables.suggestion import apply_suggestion
settings = apply_suggestion(base, {{"family": "agreement_ramp", "agreement_ramp.most": 0.75}})
from policies import create_policy
print(create_policy(settings.policy.family, settings.policy.parameters).rule())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "from 0.1 to 0.75" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ('["my_rules.py:Agreement"]', r"my_rules\.py has no class 'Agreement'.*AgreementRamp, SampleAgreement"),
        ('["none.py:A"]', r"cannot read '.*none\.py'"),
        ('["my_rules.py"]', r"given as FILE\.py:CLASS"),
        ("[3]", r"given as FILE\.py:CLASS, like .* but got '3'"),
        ('"my_rules.py:AgreementRamp"', r"`own_policies` should be a list, in brackets"),
    ],
)
def test_a_mistake_in_the_search_file_is_told(tmp_path, listed, message):
    with pytest.raises(KDPolicySearchError, match=message):
        load_config(search_file(tmp_path, [f"own_policies = {listed}"]))


def test_two_files_with_one_family_are_refused(tmp_path):
    search_file(tmp_path)
    (tmp_path / "other.py").write_text(RULE + "\n")
    with pytest.raises(KDPolicySearchError, match=r"other\.py:AgreementRamp are both of the family 'agreement_ramp'"):
        load_config("digits-quick", (), [REFERENCE, f"{tmp_path / 'other.py'}:AgreementRamp"])


def test_a_rule_that_breaks_the_contract_is_told_before_anything_starts(tmp_path):
    broken = RULE.replace("weight = self.least +", "weight = 2.0 + self.least +").replace(
        "min(1.0, max(0.0, weight))", "weight"
    )
    config = load_config(search_file(tmp_path, ['own_policies = ["my_rules.py:AgreementRamp"]'], broken))
    with pytest.raises(
        KDPolicySearchError, match=r"my_rules\.py:AgreementRamp does not keep.*`decisions_are_in_range`"
    ):
        check_own_policies(config)


def test_a_changed_file_is_told_with_its_first_changed_line(tmp_path):
    listed = ['own_policies = ["my_rules.py:AgreementRamp"]']
    begun = load_config(search_file(tmp_path, listed))
    check_unchanged(begun, load_config(search_file(tmp_path, listed)))
    now = load_config(search_file(tmp_path, listed, RULE.replace("real(0.9", "real(0.8")))
    with pytest.raises(
        KDPolicySearchError, match=r"file of my_rules\.py:AgreementRamp has changed: line \d+ was `most.*0\.8"
    ):
        check_unchanged(now, begun)
    with pytest.raises(KDPolicySearchError, match=r"the rule my_rules\.py:AgreementRamp was removed"):
        check_unchanged(load_config(search_file(tmp_path)), begun)


def test_the_report_names_a_rule_without_its_text():
    rows = dict(settings_rows(load_config("digits-quick", (), [REFERENCE])))
    assert rows["own_policies"] == "my_rules.py:AgreementRamp"


def test_the_command_line_lists_and_checks_rules_of_ones_own(tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "search", "policies", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    listed = call("--json", "--policy", REFERENCE)
    entry = json.loads(listed.stdout)[-1]
    assert (entry["family"], entry["origin"], entry["scope"]) == (
        "agreement_ramp",
        "my_rules.py:AgreementRamp",
        "batch",
    )
    good = call("--check", REFERENCE)
    assert (good.returncode, good.stdout.count("kept"), good.stdout.count("broken  ")) == (0, 10, 0)
    (tmp_path / "bad.py").write_text(RULE.replace('f"λ moves', 'f"It moves'))
    bad = call("--check", f"{tmp_path / 'bad.py'}:AgreementRamp")
    assert bad.returncode == 1
    assert "one sentence from 'λ' to '.'" in bad.stdout


def test_a_search_with_a_rule_of_ones_own_is_stopped_and_resumed_without_its_file(tmp_path, launch, forgotten):
    """The file is deleted while the search runs; the resumed search has only what the search has stored."""

    class Stopper(QuietListener):
        stopped = False

        def tick(self):
            if not self.stopped and sum(r.status == "finished" for r in self.records) >= 2:
                self.stopped = True
                rules.unlink(missing_ok=True)
                os.kill(os.getpid(), signal.SIGTERM)

    search_file(tmp_path)
    rules = tmp_path / "my_rules.py"
    settings = [*TINY, "name=own", "training.epochs=60", 'families=["fixed"]', "resources.max_concurrent=1"]
    settings += ["trials_per_family=2", "constant.most_trials=2"]
    config = load_config("digits-quick", settings, [f"{rules}:AgreementRamp", f"{rules}:SampleAgreement"])
    first = run_search(config, launch, Stopper()).search
    assert first.status == "stopped"
    assert not rules.exists()
    forgotten()
    outcome = resume_search("own", launch, QuietListener())
    assert outcome.search.status == "finished"
    assert [t.family for t in outcome.search.trials] == [*["agreement_ramp", "sample_agreement"] * 2, "fixed", "fixed"]
    assert all(t.status == "finished" for t in outcome.search.trials)

    forgotten()
    # The trial's own policy is read. The report would write this rule as a constant, since it never moved beside a sure
    # teacher.
    folder = next(t.folders[0] for t in outcome.search.trials if t.family == "agreement_ramp")
    policy = next((launch.output / "own" / folder).glob("checkpoint_*/policy.json"))
    with pytest.raises(PolicyError, match=r"its class is my_rules\.py:AgreementRamp"):
        load_policy(policy)
    best = load_policy(policy, policies=[load_policy_class("my_rules.py:AgreementRamp", EXAMPLES)])
    assert best.family == "agreement_ramp"
    assert SearchStore(launch.storage, "own").config().own_policies == config.own_policies
