"""The policies that earn another heat, and how a race describes itself."""

import itertools
import random
import statistics

import pytest

from search.plan.race import FamilyRace, Turn
from search.settings.racing import RacingSettings, heats_of, left_after, planned_trainings, race_in_words
from search.settings.search_file import load_config
from search.store.trials import HeatRecord, Standing, left_the_race, trial_records
from tests.search.plan.driving import tried
from trainables.errors import ConfigError
from trainables.records.trial import ReplicateResult, TrialHistory


def ladder(racing, replicates, trials=8):
    heats = heats_of(racing, seeds=range(100, 100 + replicates), trials=trials)
    assert [seed for heat in heats for seed in heat.seeds] == list(range(100, 100 + replicates))
    return [(heat.seeds_after, heat.entrants) for heat in heats]


def test_without_a_race_all_seeds_are_one_heat():
    assert ladder(None, 3) == [(3, 8)]


@pytest.mark.parametrize("replicates", [1, 2, 3, 5, 10, 31])
@pytest.mark.parametrize("trials", [1, 2, 8, 50])
@pytest.mark.parametrize("racing", [RacingSettings(), RacingSettings(first=2), RacingSettings(reduction=2)])
def test_a_ladder_climbs_to_all_seeds_and_always_has_somebody_on_it(racing, replicates, trials):
    steps = ladder(racing, replicates, trials)
    assert steps[0][1] == trials
    assert steps[-1][0] == replicates
    assert all(low[0] < high[0] and low[1] >= high[1] >= 1 for low, high in itertools.pairwise(steps))


def play(race, score, numbers, heats):
    """Run a family's race to its end; return the numbers that ran each heat."""
    ran = {0: list(numbers)}
    for number in numbers:
        race.begin(number, 0)
        race.end(number, score(number, 0))
    while (turn := race.promote()) is not Turn.OVER:
        assert turn is not Turn.WAIT
        number, heat = turn
        ran.setdefault(heat, []).append(number)
        race.end(number, score(number, heat))
    return ran


@pytest.mark.parametrize(
    ("replicates", "expected"),
    [
        (2, [(1, 8), (2, 4)]),
        (3, [(1, 8), (2, 4), (3, 2)]),
        (5, [(1, 8), (2, 4), (5, 2)]),
        (10, [(1, 8), (3, 4), (10, 2)]),
    ],
)
def test_seeds_grow_by_the_same_factor_and_policies_are_halved(replicates, expected):
    assert ladder(RacingSettings(), replicates) == expected


HEATS = heats_of(RacingSettings(heats=4), seeds=range(8), trials=8)


def test_the_best_so_far_go_on():
    scores = {1: 0.1, 2: 0.9, 3: 0.5, 4: 0.8, 5: 0.2, 6: 0.7, 7: 0.3, 8: 0.4}
    ran = play(FamilyRace(HEATS, 8), lambda number, _: scores[number], range(1, 9), HEATS)
    assert [ran[heat] for heat in (1, 2, 3)] == [[2, 4, 6, 3], [2, 4], [2]]


def test_a_score_counts_by_its_seeds():
    # Two seeds of 0.5 and one of 0.9 make 0.63; two of 0.6 and one of 0.6 make 0.6.
    heats = heats_of(RacingSettings(reduction=3), seeds=range(9), trials=9)
    assert [(heat.seeds_after, heat.entrants) for heat in heats] == [(1, 9), (3, 3), (9, 1)]
    first = {1: 0.9, 2: 0.6, 3: 0.55}
    then = {1: 0.5, 2: 0.6, 3: 0.0}
    ran = play(
        FamilyRace(heats, 9),
        lambda number, heat: (first, then, then)[heat].get(number, 0.1),
        range(1, 10),
        heats,
    )
    assert ran[1] == [1, 2, 3]
    assert ran[2] == [1]  # 0.63 against 0.6


def test_nobody_goes_on_before_all_of_the_family_have_run():
    race = FamilyRace(HEATS, 8)
    for number in range(1, 8):
        race.begin(number, 0)
        race.end(number, 1.0)
    assert race.promote() is Turn.WAIT
    race.begin(8, 0)
    assert race.promote() is Turn.WAIT
    race.end(8, 2.0)
    assert race.promote() == (8, 1)


def test_who_fails_is_replaced_by_the_next_best():
    scores = {number: 1.0 - number / 10 for number in range(1, 9)}

    def score(number, heat):
        return None if (number, heat) in {(2, 0), (1, 1), (4, 3)} else scores[number]

    ran = play(FamilyRace(HEATS, 8), score, range(1, 9), HEATS)
    assert ran[1] == [1, 3, 4, 5, 6]  # 2 failed at once; 1 failed in this heat, so 6 replaced it
    assert ran[2] == [3, 4]
    assert ran[3] == [3]


def test_a_family_whose_leader_fails_in_the_last_heat_still_has_a_finisher():
    ran = play(
        FamilyRace(HEATS, 8), lambda number, heat: None if (number, heat) == (1, 3) else 1 / number, range(1, 9), HEATS
    )
    assert ran[3] == [1, 2]


def test_a_family_of_failures_is_over():
    assert play(FamilyRace(HEATS, 8), lambda *_: None, range(1, 9), HEATS) == {0: list(range(1, 9))}


def test_who_left_is_seen_from_who_went_on():
    heats = heats_of(RacingSettings(), seeds=range(4), trials=4)  # 4, 2, 1
    going_on = [Standing(1, 2, 1, False), Standing(2, 1, 1, False), Standing(3, 1, 1, False), Standing(4, 1, 1, False)]
    assert left_the_race(going_on, heats) == set()  # one of two places is still open
    going_on[1] = Standing(2, 2, 1, False)
    assert left_the_race(going_on, heats) == {3, 4}
    going_on[1] = Standing(2, 2, 1, True)
    assert left_the_race(going_on, heats) == set()  # another one must replace it
    assert left_the_race([Standing(1, 3, 3, False), Standing(2, 2, 2, False)], heats) == {2}


RULES = 'families=["cosine_schedule", "step_schedule", "cosine_threshold", "norm_ratio_threshold", "norm_balance"]'
CONFIG = load_config("digits-quick", [RULES, "racing=true", "replicates=5"])


def run_search(config, score):
    """Run a whole search, a few heats at a time, which end in any order; return (family, number, seeds) of each."""
    suggestions = tried(config, score, workers=3)
    return [(s["family"], s["trial"], tuple(s["seeds"])) for s in suggestions]


def test_every_family_has_the_same_heats_however_it_scores():
    strength = {family: place / 10 for place, family in enumerate(CONFIG.families)}
    heats = run_search(CONFIG, lambda s: strength[s["family"]] + s["trial"] / 1000 + random.random() / 100)
    for family in CONFIG.families:
        of_family = [seeds for name, _, seeds in heats if name == family]
        for heat in CONFIG.heats:
            assert of_family.count(heat.seeds) == heat.entrants
    assert sum(len(seeds) for _, _, seeds in heats) == len(CONFIG.families) * planned_trainings(CONFIG.heats)


def test_no_policy_runs_a_seed_twice_and_further_heats_come_after_all_first_ones():
    heats = run_search(CONFIG, lambda s: s["trial"] / 100)
    assert len(set(heats)) == len(heats)
    assert sorted(number for _, number, _ in heats[: CONFIG.total_trials]) == list(range(1, CONFIG.total_trials + 1))
    assert all(seeds == CONFIG.heats[0].seeds for _, _, seeds in heats[: CONFIG.total_trials])


def test_a_search_with_failures_ends_and_every_family_has_a_finisher():
    lost = random.Random(1)
    heats = run_search(CONFIG, lambda s: None if lost.random() < 0.15 else s["trial"] / 100)
    last = CONFIG.heats[-1].seeds
    assert {family for family, _, seeds in heats if seeds == last} == set(CONFIG.families)


def test_a_planted_best_policy_of_each_family_wins_at_less_than_half_the_trainings():
    """Seeds differ with deviation 1. The best policy leads by 0.5; the noise of a policy under a seed is 0.1."""
    noise, seed_effect = random.Random(2), [random.Random(3).gauss(0, 1) for _ in range(5)]
    best = {CONFIG.families[place]: 6 * 5 + place + 1 for place in range(len(CONFIG.families))}

    scores = {}

    def score(s):
        own = 1.0 if s["trial"] == best[s["family"]] else 0.5
        by_seed = [own + seed_effect[seed] + noise.gauss(0, 0.1) for seed in s["seeds"]]
        scores.setdefault(s["trial"], []).extend(by_seed)
        return statistics.fmean(by_seed)

    heats = run_search(CONFIG, score)
    winners = {}
    for family, number, seeds in heats:
        if seeds == CONFIG.heats[-1].seeds:
            assert len(scores[number]) == 5
            winners[family] = max(winners.get(family, number), number, key=lambda n: sum(scores[n]))
    assert winners == best
    assert sum(len(seeds) for _, _, seeds in heats) < 0.5 * CONFIG.total_trials * CONFIG.replicates


def test_a_race_in_words():
    words = race_in_words(CONFIG.heats, CONFIG.trials_per_family)
    assert words.startswith("racing over seeds: of each family 8 policies train 1 seed, ")
    assert words.endswith("% of the trainings")
    assert left_after(1, 3) == "left the race after 1 of 3 seeds"


def test_a_search_file_turns_racing_on_and_off():
    assert load_config("digits-quick", ["racing=true"]).racing == RacingSettings()
    assert load_config("digits-quick", ["racing=false"]).racing is None
    assert load_config("digits-quick", ["racing={heats = 2, reduction = 4}"]).racing == RacingSettings(
        heats=2, reduction=4
    )
    config = load_config("digits-quick", ["racing.reduction=4"])
    assert type(config).parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("racing=3", r"`racing` should be true, false or a table like \{ heats = 3 \}, but got 3"),
        ("racing.reduction=1", "`racing.reduction` should be greater than 1, but got 1"),
        ("racing.heats=1", "`racing.heats` should be greater than or equal to 2, but got 1"),
        ("racing.first=0", "`racing.first` should be greater than or equal to 1, but got 0"),
        ("racing.reductoin=3", "`racing.reductoin` is not a known setting; known here: first, heats, reduction"),
    ],
)
def test_a_mistake_in_racing_is_told(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_config("digits-quick", [setting])


def test_constants_of_an_earlier_release_raced_like_rules():
    """Their numbers lie within the rounds. A constant with two of three seeds has left, and has no score."""
    config = load_config(
        "digits-quick",
        ['families=["fixed", "norm_balance"]', "trials_per_family=4", "replicates=3", "racing=true"],
    )

    def heat(number, place):
        seeds = config.heats[place].seeds
        replicates = tuple(
            ReplicateResult(seed=seed, validation_accuracy=0.9, validation_loss=0.3, agreement=0.9) for seed in seeds
        )
        return HeatRecord(
            trial_id=f"{number}-{place}",
            number=number,
            suggestion={"family": "fixed", "fixed.weight": 0.1 * number, "trial": number, "seeds": list(seeds)},
            status="finished",
            started=None,
            ended=None,
            error=None,
            history=TrialHistory(score=0.9, replicates=replicates),
            folder="",
        )

    begun = [(1, 0), (3, 0), (5, 0), (7, 0), (1, 1), (3, 1), (1, 2)]
    records = trial_records([heat(*entry) for entry in begun], config)
    assert [(r.number, r.status, len(r.seeds)) for r in records] == [
        (1, "finished", 3),
        (3, "eliminated", 2),
        (5, "eliminated", 1),
        (7, "eliminated", 1),
    ]
