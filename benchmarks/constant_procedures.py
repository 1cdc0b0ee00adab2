"""Measures how often a rule is wrongly called better than the best constant λ, by how that constant was chosen.

    python -m benchmarks.constant_procedures --searches 334             # one pair of settings, about 30 minutes
    python -m benchmarks.constant_procedures --settings several --searches 34 --fresh 3 5 10

Whole searches are simulated on curves whose best constant is known. The peaks move from search to search, so that no
design meets them by luck. All rules are exactly as good as the best constant of the whole surface. Each search is
confirmed 20 times: paired t-tests on ten fresh seeds (`--fresh`) with Holm's correction, against the chosen constant
and its rivals. The rule must gain more than the expected loss. Without a certificate nothing is claimed. Columns:

- trainings: the number of trainings of constants, on the search's seeds;
- missed: points by which the chosen constant is worse than the best one;
- chosen: how often one of 6 rules is wrongly called better than the chosen constant alone;
- 6 rules, 29 rules: how often one of them is wrongly called better, as the product judges;
- power: how often one of six rules is found that gains two deviations of one training.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import optuna
from scipy import stats

from benchmarks.scaffold import parser
from search.constants import ConstantPoint, ConstantScore, Enough, Surface, SurfaceDomain, fit_surface, next_point
from search.settings import Choices, Interval

Array: TypeAlias = npt.NDArray[np.float64]
Curve: TypeAlias = Callable[[Array, float], Array]
"""Points of accuracy against λ; the second argument, from −1 to 1, moves the peak."""
Accuracy: TypeAlias = Callable[[ConstantPoint], float]

CONFIRMATIONS, LEVEL, LAG, MOST = 20, 0.05, 2, 40
SHARED = 0.4
"""Standard deviation of a seed's effect on all constants, in points."""
GRID = np.linspace(0.0, 1.0, 2001)
RATES, TEMPERATURES = Interval(low=1e-3, high=0.1, log=True), Choices(choices=(2.0, 4.0, 8.0))
DOMAINS = {"one": SurfaceDomain(), "several": SurfaceDomain(learning_rate=RATES, temperature=TEMPERATURES)}


def _bump(w: Array, height: float, at: float, width: float) -> Array:
    return height * np.exp(-(((w - at) / width) ** 2))


def _sharp(w: Array, at: float) -> Array:
    return -1.2 * np.log((w + 0.03) / (at + 0.03)) ** 2


SHAPES: dict[str, Curve] = {
    "flat": lambda w, _: 0.0 * w,
    "bowl": lambda w, d: -6.0 * (w - 0.4 - 0.08 * d) ** 2,
    "steep bowl": lambda w, d: -20.0 * (w - 0.6 - 0.08 * d) ** 2,
    "shallow bowl": lambda w, d: -1.5 * (w - 0.4 - 0.08 * d) ** 2,
    "end at 0": lambda w, _: -4.0 * w,
    "end at 1": lambda w, _: 3.0 * w,
    "sharp near 0": lambda w, d: _sharp(w, 0.06 + 0.04 * d),
    "sharp near 1": lambda w, d: _sharp(1.0 - w, 0.06 + 0.04 * d),
    "twin peaks": lambda w, d: _bump(w, 2.0, 0.2 + 0.04 * d, 0.13) + _bump(w, 2.0, 0.8 + 0.04 * d, 0.13),
    "between grid points": lambda w, d: _bump(w, 2.0, 0.5 + 0.2 * d, 0.1),
    "cliff near 1": lambda w, d: 2.0 * w - 40.0 * np.maximum(0.0, w - 0.9 - 0.03 * d),
}
HARD: dict[str, Curve] = {
    "cusp near 0": lambda w, d: -3.0 * np.abs(w - 0.05 - 0.03 * d) ** 0.5,
    "cusp near 1": lambda w, d: -3.0 * np.abs(w - 0.95 - 0.03 * d) ** 0.5,
    "needle": lambda w, d: _bump(w, 2.0, 0.5 + 0.3 * d, 0.06),
    "unequal twins": lambda w, d: _bump(w, 2.0, 0.2 + 0.04 * d, 0.12) + _bump(w, 1.4, 0.8, 0.12),
    "step": lambda w, d: -1.5 * (w > 0.5 + 0.3 * d),
    "labels alone": lambda w, _: -1.5 * np.minimum(w / 0.03, 1.0),
}
"""Curves that are not smooth, meant to break the procedures."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The result of a procedure: the chosen constant, its rivals, what the certificate says, and the cost."""

    point: ConstantPoint
    rivals: tuple[ConstantPoint, ...]
    trainings: int
    holds: bool = True
    expected_loss: float = 0.0


def proposed(
    domain: SurfaceDomain, seed: int, score: Callable[[ConstantPoint], ConstantScore], most: int, lag: int = LAG
) -> tuple[list[ConstantScore], bool]:
    """Try constants as a search with two workers does; return the scores in order, and whether there were enough."""
    observed, points = list[ConstantScore](), list[ConstantPoint]()
    while len(points) < most:
        known = max(0, len(points) - lag + 1)
        point = next_point(domain, seed, len(points), observed[:known], points[known:])
        if isinstance(point, Enough):
            point = next_point(domain, seed, len(points), observed)
            if isinstance(point, Enough):
                return observed, True
        points.append(point)
        observed.append(score(point))
    return observed, False


def tuned(accuracy: Accuracy, domain: SurfaceDomain, noise: float, random: np.random.Generator) -> Surface:
    """Tune as the product does: two seeds a constant, at most 40 constants, two workers at a time.

    Args:
        accuracy: gives the accuracy of a constant, in points.
        domain: where the best constant is looked for.
        noise: standard deviation of one training, without its seed's effect on all constants, in points.
        random: the source of chance.
    """
    seed, seeds = int(random.integers(2**31)), SHARED * random.standard_normal(2)

    def score(point: ConstantPoint) -> ConstantScore:
        values = accuracy(point) + seeds + noise * random.standard_normal(2)
        return ConstantScore(point=point, scores=dict(enumerate(values.tolist())))

    surface = fit_surface(proposed(domain, seed, score, MOST)[0], domain)
    assert surface is not None
    return surface


def bracketed(accuracy: Accuracy, domain: SurfaceDomain, noise: float, random: np.random.Generator) -> Chosen:
    """Tune as the product does."""
    surface = tuned(accuracy, domain, noise, random)
    certificate = surface.certificate
    loss, trainings = certificate.expected_loss, certificate.trainings
    return Chosen(surface.chosen, surface.rivals, trainings, certificate.holds, loss)


def few_tries(accuracy: Accuracy, _: SurfaceDomain, noise: float, random: np.random.Generator) -> Chosen:
    """Try λ = .9, .5, 1 and 0, then four proposals of TPE, three seeds each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(n_startup_trials=4, multivariate=True, seed=int(random.integers(2**31)))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for weight in (0.9, 0.5, 1.0, 0.0):
        study.enqueue_trial({"weight": weight})
    for _ in range(8):
        trial = study.ask()
        point = ConstantPoint(weight=trial.suggest_float("weight", 0.0, 1.0))
        study.tell(trial, accuracy(point) + noise * float(random.standard_normal(3).mean()))
    scores = {trial.params["weight"]: trial.value for trial in study.trials}
    errors = dict.fromkeys(scores, noise / math.sqrt(3.0))
    return _by_mean(scores, errors, trainings=24)


def raced(weights: Array, promoted: tuple[int, int]) -> Callable[..., Chosen]:
    """Make a procedure that gives two seeds to each of a list of λ, four to some of them, and eight to a few."""

    def procedure(accuracy: Accuracy, _: SurfaceDomain, noise: float, random: np.random.Generator) -> Chosen:
        truth = {float(weight): accuracy(ConstantPoint(weight=float(weight))) for weight in weights}
        trained = {weight: [worth + noise * x for x in random.standard_normal(2)] for weight, worth in truth.items()}
        for count, more in zip(promoted, (2, 4), strict=True):
            first = sorted(trained, key=lambda weight: -np.mean(trained[weight]))
            for weight in [weight for weight in first if len(trained[weight]) == (2 if more == 2 else 4)][:count]:
                trained[weight] += [truth[weight] + noise * x for x in random.standard_normal(more)]
        most = max(map(len, trained.values()))
        last = {weight: float(np.mean(values)) for weight, values in trained.items() if len(values) == most}
        errors = dict.fromkeys(last, noise / math.sqrt(most))
        return _by_mean(last, errors, trainings=sum(map(len, trained.values())))

    return procedure


def _by_mean(scores: dict[float, float], errors: dict[float, float], trainings: int) -> Chosen:
    best = max(scores, key=scores.__getitem__)
    near = [w for w in scores if w != best and scores[best] - scores[w] <= 2.0 * math.hypot(errors[best], errors[w])]
    near.sort(key=lambda weight: -scores[weight])
    return Chosen(ConstantPoint(weight=best), tuple(ConstantPoint(weight=weight) for weight in near[:2]), trainings)


DENSE = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.85, 0.9, 0.95, 0.98, 1.0])
PROCEDURES: dict[str, Callable[..., Chosen]] = {
    "few tries": few_tries,
    "grid of 11, raced": raced(np.linspace(0.0, 1.0, 11), (5, 3)),
    "15 dense at the ends, raced": raced(DENSE, (6, 3)),
    "bracketed": bracketed,
}


def planted(curve: Curve, place: float, random: np.random.Generator, domain: SurfaceDomain) -> tuple[Accuracy, float]:
    """Draw an accuracy in points; return it with that of the best constant at the best settings.

    The best learning rate moves with λ by up to half a decade. The bowl around it and the temperature's effect vary.
    """
    steep, rate = float(random.choice([1.5, 3.0, 6.0])), -2.0 + 0.5 * random.uniform(-1.0, 1.0)
    tilt, best, matters = random.uniform(-0.5, 0.5), random.uniform(-1.0, 1.0), float(random.choice([0.0, 0.3, 0.8]))

    def accuracy(point: ConstantPoint) -> float:
        found = float(curve(np.array(point.weight), place))
        if point.learning_rate is not None:
            found -= steep * (math.log10(point.learning_rate) - rate - tilt * (point.weight - 0.5)) ** 2
        if point.temperature is not None:
            found -= matters * point.weight * (math.log2(point.temperature) - 2.0 - best) ** 2
        return found

    temperatures = [matters * (t - 2.0 - best) ** 2 for t in (1.0, 2.0, 3.0)] if domain.settings else [0.0]
    return accuracy, max(float((curve(GRID, place) - loss * GRID).max()) for loss in temperatures)


def claims(
    misses: Array, noise: float, rules: int, loss: float, random: np.random.Generator, fresh: int, gain: float = 0.0
) -> tuple[float, float]:
    """Return the shares of confirmations that call a rule better, against the first constant alone and as the product.

    Args:
        misses: how far the chosen constant and its rivals lie below the rules, [C].
        noise: deviation of one training.
        rules: the number of rules; the first one gains `gain`, and with a gain only that one counts.
        loss: the gain that a rule must exceed.
        random: the source of chance.
        fresh: the number of fresh seeds.
        gain: the first rule's gain over the best constant.
    """
    worth = gain * (np.arange(rules) == 0)
    ours = worth[:, None] + noise * random.standard_normal((CONFIRMATIONS, rules, fresh))
    theirs = -misses[:, None] + noise * random.standard_normal((CONFIRMATIONS, len(misses), fresh))
    apart = ours[:, :, None] - theirs[:, None]
    error = apart.std(-1, ddof=1) / math.sqrt(fresh)
    limit = stats.t.isf(LEVEL / 2.0 / rules, fresh - 1)  # one rule passes Holm's procedure only if the first step does
    alone, whole = apart[:, :, 0].mean(-1) / error[:, :, 0] > limit, ((apart.mean(-1) - loss) / error).min(2) > limit
    found = (alone[:, 0], whole[:, 0]) if gain else (alone.any(1), whole.any(1))
    return float(found[0].mean()), float(found[1].mean())


def rows(procedure: str, curve: Curve, settings: str, noise: float, searches: int, fresh: Sequence[int]) -> Array:
    """Simulate searches of a curve, each confirmed with each number of fresh seeds.

    Returns:
        Trainings, missed, certified, false "better" three times and power, [numbers of seeds, searches, 7].
    """
    found, domain = [], DOMAINS[settings]
    for search in range(searches):
        random = np.random.default_rng((search, round(1000 * noise)))
        accuracy, best = planted(curve, 2.0 * (search + 0.5) / searches - 1.0, random, domain)
        chosen = PROCEDURES[procedure](accuracy, domain, noise, random)
        misses = np.array([best - accuracy(point) for point in (chosen.point, *chosen.rivals)])
        of_search = []
        for seeds in fresh:
            alone, six = claims(misses, noise, 6, chosen.expected_loss, random, seeds)
            _, many = claims(misses, noise, 29, chosen.expected_loss, random, seeds)
            _, power = claims(misses, noise, 6, chosen.expected_loss, random, seeds, gain=2.0 * noise)
            judged = chosen.holds * np.array([six, many, power])
            of_search.append((chosen.trainings, misses[0], chosen.holds, alone, *judged))
        found.append(of_search)
    return np.array(found, dtype=float).swapaxes(0, 1)


def main() -> None:
    """Print the table."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--searches", type=int, default=34, help="of each curve and noise (34)")
    options.add_argument("--noise", type=float, nargs="+", default=[0.3, 0.6, 0.9], help="points of one training")
    options.add_argument("--settings", choices=list(DOMAINS), default="one", help="what is tuned beside λ")
    options.add_argument("--procedures", nargs="+", choices=list(PROCEDURES), default=None)
    options.add_argument("--fresh", type=int, nargs="+", default=[10], help="fresh seeds of a confirmation (10)")
    options.add_argument("--curves", nargs="+", choices=[*SHAPES, *HARD], default=[*SHAPES, *HARD])
    arguments = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = list(PROCEDURES) if arguments.settings == "one" else ["bracketed"]
    for procedure in arguments.procedures or known:
        began, smooth = time.process_time(), []
        print(f"\n{procedure:<28} trainings  missed  certified  chosen  6 rules  29 rules  power")
        for name in arguments.curves:
            curve = {**SHAPES, **HARD}[name]
            table = [
                rows(procedure, curve, arguments.settings, noise, arguments.searches, arguments.fresh)
                for noise in arguments.noise
            ]
            means = np.concatenate(table, axis=1).mean(1)
            if name in SHAPES:
                smooth.append(means)
            for seeds, mean in zip(arguments.fresh, means, strict=True):
                _print_row(f"{name}, {seeds} seeds", mean)
        for place, seeds in enumerate(arguments.fresh if smooth else ()):
            _print_row(f"all smooth ones, {seeds} seeds", np.mean(smooth, axis=0)[place])
            worst = np.max(smooth, axis=0)[place]
            print(f"{'worst smooth one':<56}{worst[3]:>8.1%}{worst[4]:>9.1%}{worst[5]:>10.1%}")
        print(f"{time.process_time() - began:.0f} s", flush=True)


def _print_row(title: str, mean: Array) -> None:
    print(
        f"  {title:<26}{mean[0]:>10.1f}{mean[1]:>8.2f}{mean[2]:>11.0%}{mean[3]:>8.1%}{mean[4]:>9.1%}{mean[5]:>10.1%}"
        f"{mean[6]:>7.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
