import pytest

from policies.errors import KDPolicySearchError
from search.recipes import recipe_names
from search.settings.budget import budget_text, seconds_of
from search.settings.domains import Interval
from search.settings.search_file import load_config, parse_config
from trainables.errors import ConfigError

MINIMAL = """
name = "mine"
[teacher.model]
name = "cnn"
[teacher.training]
epochs = 2
[student]
name = "mlp"
"""


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_and_named_like_its_file(name):
    config = load_config(name)
    assert config.name == name
    assert config.total_trials >= 24


def test_the_default_families_hold_the_constant_and_every_kind_of_rule():
    assert parse_config(MINIMAL).families == (
        "fixed",
        "cosine_schedule",
        "step_schedule",
        "cosine_threshold",
        "norm_ratio_threshold",
        "norm_balance",
        "sample_class_reliability",
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trials_per_famly=3", r"`trials_per_famly` is not a known setting.*Did you mean 'trials_per_family'"),
        ("epochs=3", r"`epochs` is not a known setting.*Did you mean 'training\.epochs'"),
        ("training.epochs=-1", r"`training\.epochs` should be greater than or equal to 1, but got -1"),
        ('families=["fixed", "cosine_treshold"]', r"`families`.*'cosine_treshold'.*Did you mean 'cosine_threshold'"),
        ("families=[]", r"`families` should have at least 1 item, but got \[\]"),
        ('families=["imtl_g"]', r"'imtl_g' is an alias of `norm_balance` with balance=1.0; list 'norm_balance'"),
        ('families=["fixed", "fixed"]', r"`families` must differ from one another, but got"),
        ("data.name=mnist", r"`data\.name`: must be one of 'digits'.*but got 'mnist'"),
        ("baselines=[0.5]", r"`baselines` is no longer a setting, but got \[0\.5\].*`constant`.*remove the line"),
        ("constant.most_trials=0", r"`constant\.most_trials` should be greater than or equal to 1, but got 0"),
        ("name=a/b", r"`name` must be made of letters"),
        ("space.temperature.choices=[0.0]", r"`space\.temperature`: must be made of positive numbers, but got 0\.0"),
        ("space.temperature=warm", r"`space\.temperature`: must be made of positive numbers, but got 'warm'"),
        ("space.temperature.choices=[[1.0]]", r"`space\.temperature\.choices\.0` should be a number"),
        ("space.learning_rate.low=1", r"`space\.learning_rate\.high` is missing"),
        ("space.learning_rate={low=2.0,high=1.0}", r"`low` < `high` must hold, but got low=2\.0, high=1\.0"),
        ("space.learning_rate={low=0.0,high=1.0,log=true}", r"`low` must be positive when `log`"),
        (
            "space.policies.fixed.weight={low=0.0,high=2.0}",
            r"`space\.policies\.fixed\.weight` must be a real.*got 2\.0",
        ),
        (
            "space.policies.fixed.weight=half",
            r"`space\.policies\.fixed\.weight` must be a real in \[0, 1\].*got 'half'",
        ),
        (
            "space.policies.norm_balance.tier=logits",
            r"`space\.policies\.norm_balance\.tier` must be a choice.*'logit'\?",
        ),
        ("space.policies.norm_balance.tier=1", r"`space\.policies\.norm_balance\.tier` must be a choice.*got 1\.0"),
        (
            'space.policies.norm_balance.tier.choices=["full", "half"]',
            r"`space\.policies\.norm_balance\.tier` must be a choice of full, last_block, logit.*got 'half'",
        ),
        (
            "space.policies.norm_balance.tier={low=0.0,high=1.0}",
            r"norm_balance\.tier` must be a choice.*got a range, low=0, high=1; give one of them",
        ),
        ("space.policies.fixed.wieght=0.5", r"no parameter 'wieght'.*Did you mean 'weight'"),
        ("space.policies.linear_schedule.start=0.5", r"`space\.policies\.linear_schedule` has no effect"),
        ("space.policies.fixd.weight=0.5", r"'fixd'.*Did you mean 'fixed'"),
        ("resources.gpus_per_trial=-1", r"`resources\.gpus_per_trial` should be greater than or equal to 0"),
        ("device.device=cuda", r"`resources\.gpus_per_trial` is 0; give each trial a share"),
        ("replicates", r"takes key\.path=value, but got 'replicates'"),
        ("name.x=1", r"'name' is a value, not a table"),
    ],
)
def test_a_mistake_is_named_with_rule_value_and_remedy(override, message):
    with pytest.raises(KDPolicySearchError, match=message):
        parse_config(MINIMAL, [override])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["teacher.checkpoint=x.pt"],
            "`teacher`: exactly one of `checkpoint` and `training` must be given, but both are; remove one of them.",
        ),
        (
            ["confirm.student=bse"],
            "`confirm.student` must be one of base, but got 'bse'. Did you mean 'base'?",
        ),
        (
            ["space.temperature={low=2.0,high=1.0}"],
            "`space.temperature`: `low` < `high` must hold, but got low=2.0, high=1.0.",
        ),
    ],
)
def test_a_rule_on_several_settings_is_told_in_its_own_words(overrides, message):
    with pytest.raises(KDPolicySearchError) as caught:
        parse_config(MINIMAL, overrides)
    assert str(caught.value) == message


def test_all_mistakes_are_told_at_once():
    overrides = [
        *("a=[1", "trials_per_famly=3", "training.epochs=0", "replicates=0", "device.device=cuda"),
        *("confirm.student=wide", 'confirm.families=["fixd"]', 'costs=["flops"]', "space.policies.fixed.wieght=1.0"),
        *('own_policies=["nowhere.py:Rule"]', 'kpis=["nowhere.py:kpi"]', "teacher.model.name=net.py:Net"),
    ]
    with pytest.raises(KDPolicySearchError) as caught:
        parse_config(MINIMAL, overrides)
    told = str(caught.value)
    for mistake in (
        "`--set a=[1`: `[1` is not valid TOML",
        "`trials_per_famly` is not a known setting",
        "Did you mean 'trials_per_family'?",
        "`training.epochs` should be greater than or equal to 1, but got 0.",
        "`replicates` should be greater than or equal to 1, but got 0.",
        "`resources.gpus_per_trial` is 0; give each trial a share",
        "`confirm.student` must be one of base, but got 'wide'.",
        "`costs` names 'flops'",
        "cannot read 'nowhere.py', named by 'nowhere.py:Rule'",
        "cannot read 'nowhere.py', named by 'nowhere.py:kpi'",
        "cannot read 'net.py', named by 'net.py:Net'",
    ):
        assert told.count(mistake) == 1, (mistake, told)
    # What is judged by families of a file that could not be read is not guessed at.
    assert "fixd" not in told


def test_several_rules_on_several_settings_are_told_together():
    overrides = ["device.device=cuda", 'confirm.families=["fixd"]', "space.policies.fixed.wieght=1.0"]
    with pytest.raises(KDPolicySearchError) as caught:
        parse_config(MINIMAL, overrides)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert [key for key in ("gpus_per_trial", "'fixd'", "'wieght'") if not any(key in line for line in lines)] == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1d 12h", 129_600), ("0.5h", 1800)],
)
def test_a_budget_is_a_time_with_units(text, seconds):
    config = parse_config(MINIMAL, [f'budget="{text}"'])
    assert config.budget_seconds == seconds
    assert seconds_of(budget_text(seconds)) == seconds


@pytest.mark.parametrize("value", ["7200", '"2"', '"h"', '"-1h"', '"0m"', '"2 hours"', "true"])
def test_a_budget_without_a_time_is_refused(value):
    with pytest.raises(ConfigError, match='`budget` should be a time with units, like "2h"'):
        parse_config(MINIMAL, [f"budget={value}"])


def test_a_budget_can_be_taken_away():
    assert parse_config(MINIMAL, ["budget=none"]).budget is None


def test_options_that_a_rule_refuses_together_are_not_searched():
    tier = 'space.policies.norm_balance.tier={choices=["full", "logit"]}'
    parse_config(MINIMAL, [tier, 'space.policies.norm_balance.pair="same"'])
    told = "space.policies.norm_balance.*tier = 'logit' together with pair = 'halves'.*halves would change nothing"
    with pytest.raises(KDPolicySearchError, match=told):
        parse_config(MINIMAL, [tier, 'space.policies.norm_balance.pair={choices=["same", "halves"]}'])
    with pytest.raises(KDPolicySearchError, match=told):
        parse_config(MINIMAL, ["space.policies.norm_balance.tier=logit", "space.policies.norm_balance.pair=halves"])


def test_overrides_reach_nested_settings_with_their_types():
    config = parse_config(MINIMAL, ["training.epochs=7", "training.optimizer=sgd", "space.temperature=3.0"])
    assert (config.training.epochs, config.training.optimizer, config.space.temperature) == (7, "sgd", 3.0)


def test_domains_are_read_in_their_three_forms():
    config = parse_config(
        MINIMAL,
        [
            "space.learning_rate={low=0.1,high=1.0,log=true}",
            "space.policies.fixed.weight.choices=[0.5,0.7]",
        ],
    )
    assert config.space.learning_rate == Interval(low=0.1, high=1.0, log=True)
    assert config.space.policies["fixed"]["weight"].choices == (0.5, 0.7)


def test_the_settings_alone_rebuild_the_search():
    config = parse_config(MINIMAL, ["space.learning_rate={low=0.1,high=1.0,log=true}"])
    assert type(config).parse(config.model_dump(mode="json")) == config


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(KDPolicySearchError, match=r"no recipe 'digits-quik'.*Did you mean 'digits-quick'"):
        load_config("digits-quik")


def test_a_missing_or_broken_search_file_is_told(tmp_path):
    with pytest.raises(KDPolicySearchError, match="cannot read the search file"):
        load_config(str(tmp_path / "none.toml"))
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(KDPolicySearchError, match="not valid TOML"):
        load_config(str(tmp_path / "broken.toml"))


def test_seeds_of_a_trial_follow_the_searchs_seed():
    assert parse_config(MINIMAL, ["seed=10", "replicates=2"]).base_trial().seeds == (10, 11)
