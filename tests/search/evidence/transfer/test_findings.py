"""The conclusions from a transfer, on made-up scores."""

import pytest

from search.evidence import transfer_findings, transfer_headline, transfer_sentences
from search.evidence.transfer.agreement import agreement_of
from search.records import ConstantFacts, PilotFinalist, TransferRecord
from tests.search.evidence_record import around, confirmation, constant, rule

SEEDS = (0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0)
OTHER = (0.2, -0.2, 0.1, -0.1, 0.1, 0.0, -0.1, 0.1, -0.2, 0.1)
THIRD = (0.0, 0.1, 0.1, -0.1, -0.1, 0.2, -0.2, 0.2, -0.1, -0.1)
TUNED = constant(0.3, 0.004, "constant-at-scale")
AGAIN = rule("norm_balance").model_copy(update={"key": "norm_balance-retuned", "shared": {"learning_rate": 0.004}})
PILOT = {"norm_balance": 0.72, "tree": 0.71, "fixed-0.9": 0.70, "fixed-0": 0.65}


def transfer(scores, choice="norm_balance", pilot=None, unlike=None, **update):
    """Return a transfer whose finalists have these mean scores at scale, by key, in [0, 1]."""
    finalists = {
        "norm_balance": (rule("norm_balance"), SEEDS),
        "tree": (rule("tree", 6), OTHER),
        "norm_balance-retuned": (AGAIN, THIRD),
        "fixed-0.9": (constant(0.9), OTHER),
        "constant-at-scale": (TUNED, THIRD),
        "fixed-0": (constant(0.0), SEEDS),
    }
    trained = confirmation(
        [(finalists[key][0], around(mean, *finalists[key][1])) for key, mean in scores.items()],
        constant=ConstantFacts(chosen="constant-at-scale", bracketed=True),
    ).model_copy(update={"settings": {"seeds_asked": [10]}})
    return TransferRecord(
        search="made-up",
        name="scaled",
        scaled={},
        settings={},
        choice=choice,
        constant="fixed-0.9",
        confirmed=False,
        pilot=tuple(
            PilotFinalist(key=key, score=score, unlike=unlike or {})
            for key, score in (pilot or PILOT).items()
            if key in scores
        ),
        kept=("learning_rate",),
        changes=(),
        tuned="constant-at-scale",
        retuned={"norm_balance-retuned": "norm_balance"} if "norm_balance-retuned" in scores else {},
        trained=trained.model_copy(update=update),
    )


BASE = {"norm_balance": 0.82, "tree": 0.79, "fixed-0.9": 0.79, "constant-at-scale": 0.80, "fixed-0": 0.75}


@pytest.mark.parametrize(
    ("scores", "kind", "take", "headline"),
    [
        (BASE, "keep", "norm_balance", "Keep norm balance, with the pilot's numbers."),
        (BASE | {"norm_balance": 0.78}, "tune_constant", "constant-at-scale", "Tune a constant at scale: λ = 0.3 is"),
        (
            BASE | {"norm_balance": 0.80, "norm_balance-retuned": 0.83},
            "retune",
            "norm_balance-retuned",
            "Keep the kind, norm balance, and re-tune its settings: that is ahead of the pilot's numbers, by 3.0",
        ),
        (BASE | {"tree": 0.84}, "another", "tree", "Take tree instead: at scale it is ahead of norm balance, by 2.0"),
    ],
)
def test_a_transfer_ends_in_one_of_these_sentences(scores, kind, take, headline):
    found = transfer_findings(transfer(scores))
    assert (found.kind, found.take) == (kind, take)
    assert transfer_headline(found).startswith(headline)


@pytest.mark.parametrize("scores", [BASE, BASE | {"tree": 0.84}, BASE | {"norm_balance-retuned": 0.85}])
def test_no_rule_is_recommended_beside_a_constant_that_is_not_bracketed(scores):
    record = transfer(scores)
    facts = ConstantFacts(chosen="constant-at-scale", bracketed=False, reason="6 constants were too few")
    found = transfer_findings(
        record.model_copy(update={"trained": record.trained.model_copy(update={"constant": facts})})
    )
    assert (found.kind, found.take, found.more_seeds) == ("cannot_tell", "norm_balance", None)
    assert "not bracketed (6 constants were too few); give it more tries with `--constants`" in transfer_headline(found)


def test_what_the_seeds_cannot_settle_is_said_with_the_seeds_that_would():
    wild = (2.5, -2.5, 1.5, -1.5, 2.0, -2.0, 1.5, -1.5, 1.0, -1.0)
    record = transfer(BASE | {"constant-at-scale": 0.823})
    results = tuple(
        result.model_copy(update={"test": result.test.model_copy(update={"accuracy": 0.823 + wild[result.seed] / 100})})
        if result.finalist == "constant-at-scale"
        else result
        for result in record.trained.results
    )
    found = transfer_findings(
        record.model_copy(update={"trained": record.trained.model_copy(update={"results": results})})
    )
    assert (found.kind, found.take) == ("cannot_tell", "norm_balance")
    assert found.more_seeds > 10
    assert f"about {found.more_seeds} seeds would settle it, {found.more_seeds - 10} more" in transfer_headline(found)
    assert found.command == f"kd-search transfer made-up --to FILE --seeds {found.more_seeds}"


def test_an_unfinished_transfer_concludes_nothing():
    record = transfer(BASE)
    half = record.trained.model_copy(update={"results": record.trained.results[:-1], "complete": False})
    found = transfer_findings(record.model_copy(update={"trained": half}))
    assert (found.kind, found.take, found.regret, found.agreement) == ("incomplete", None, None, None)
    assert transfer_sentences(found) == ()
    assert transfer_findings(record.model_copy(update={"trained": None})) is None


def test_regret_is_the_lead_of_the_best_with_bounds_that_allow_for_the_choice_of_it():
    regret = transfer_findings(transfer(BASE | {"norm_balance": 0.78})).regret
    assert regret.best == "constant-at-scale"
    assert regret.mean == pytest.approx(0.02, abs=1e-3)
    assert 0.01 < regret.low < 0.02 < regret.high < 0.03
    kept = transfer_findings(transfer(BASE)).regret
    assert (kept.best, kept.mean, kept.low, kept.high) == ("norm_balance", 0.0, 0.0, 0.0)


def test_the_luck_of_the_best_of_equals_counts_little_as_regret():
    equal = dict.fromkeys(BASE, 0.80)
    regret = transfer_findings(transfer(equal)).regret
    tops = dict.fromkeys(equal, 0.0)
    record = transfer(equal).trained
    for seed in record.seeds:
        best = max(equal, key=lambda key: record.scores(key)[seed])
        tops[best] += record.scores(best)[seed] - record.scores("norm_balance")[seed]
    assert regret.low == 0.0
    assert regret.mean < sum(tops.values()) / len(record.seeds)


def test_the_order_of_the_pilots_finalists_is_compared_without_those_tuned_at_scale():
    agreement = transfer_findings(transfer(BASE | {"tree": 0.795})).agreement
    assert (agreement.finalists, agreement.tau) == (4, 1.0)
    assert agreement.low <= agreement.tau <= agreement.high
    turned = transfer_findings(
        transfer({**BASE, "norm_balance": 0.70, "tree": 0.72, "fixed-0.9": 0.74, "fixed-0": 0.76})
    )
    assert turned.agreement.tau == -1.0
    assert turned.agreement.p_value == pytest.approx(2 / 24)
    assert "Kendall's τ = −1.00" in " ".join(transfer_sentences(turned))


def test_two_finalists_have_no_order_to_compare():
    assert agreement_of({"a": 1.0, "b": 2.0}, {"a": {0: 1.0}, "b": {0: 2.0}}) is None
    assert agreement_of({"a": 1.0, "b": 1.0, "c": 1.0}, {key: {0: 1.0} for key in "abc"}) is None


def test_the_numbers_that_want_re_tuning_are_named_with_both_values():
    found = transfer_findings(transfer(BASE | {"norm_balance": 0.80, "norm_balance-retuned": 0.83}))
    text = " ".join(transfer_sentences(found))
    assert "learning rate 0.01 → 0.004: its numbers want re-tuning: that gains +3.0" in text
    assert "λ = 0.9 at scale, λ 0.9 → 0.3, learning rate 0.01 → 0.004" in text


def test_a_rule_whose_numbers_are_tied_to_a_scale_is_told():
    text = " ".join(transfer_sentences(transfer_findings(transfer(BASE, unlike={"smoothing": "steps"}))))
    assert "Some numbers of norm balance are tied to the pilot's scale: smoothing to the steps." in text
    assert "The numbers of norm balance mean the same at any scale." in " ".join(
        transfer_sentences(transfer_findings(transfer(BASE)))
    )
