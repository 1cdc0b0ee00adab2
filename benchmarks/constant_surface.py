"""What it costs to bracket the best constant λ, and by how much the chosen one misses the best.

    python -m benchmarks.constant_surface --searches 20

Simulated searches on curves whose best constant is known (`benchmarks.honest` has them), with one pair of settings and
with a learning rate and a temperature to find as well. Each row: points and trainings until there were enough; points
of accuracy by which the chosen constant is worse than the best of the whole surface; what the certificate expected; how
often it held. `benchmarks.honest` says how often a rule is wrongly called better after that.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np

from benchmarks.honest import SHAPES
from search.constants import ConstantPoint, ConstantScore, Enough, Surface, SurfaceDomain, fit_surface, next_point
from search.domains import Choices, Interval

LAG = 2
ONE = SurfaceDomain(home=ConstantPoint(weight=0.9))
SEVERAL = SurfaceDomain(
    learning_rate=Interval(low=1e-3, high=0.1, log=True),
    temperature=Choices(choices=(2.0, 4.0, 8.0)),
    home=ConstantPoint(weight=0.9, learning_rate=0.01, temperature=4.0),
)


def accuracy(shape: Callable[[float], float], point: ConstantPoint) -> float:
    """Points of accuracy: the curve in λ, a bowl in log learning rate that shifts with λ, a mild one in temperature."""
    found = 85.0 + shape(point.weight)
    if point.learning_rate is not None:
        found -= 2.0 * (math.log10(point.learning_rate / 0.02) - 0.3 * (point.weight - 0.5)) ** 2
    if point.temperature is not None and point.weight > 0.0:
        found -= 0.2 * (math.log2(point.temperature / 4.0)) ** 2
    return found


def tune(
    shape: Callable[[float], float], domain: SurfaceDomain, noise: float, seeds: int, most: int, seed: int
) -> Surface:
    """Tune a constant as a search does, two workers at a time."""
    random = np.random.default_rng(seed)
    shared = 0.4 * random.standard_normal(seeds)
    points: list[ConstantPoint] = []
    scored: list[ConstantScore] = []
    while len(points) < most:
        index = len(points)
        known = max(0, index - LAG + 1)
        point = next_point(domain, seed, index, scored[:known], points[known:])
        if isinstance(point, Enough):
            point = next_point(domain, seed, index, scored)
            if isinstance(point, Enough):
                break
        points.append(point)
        values = accuracy(shape, point) + shared + noise * random.standard_normal(seeds)
        scored.append(ConstantScore(point=point, scores=dict(enumerate((values / 100.0).tolist()))))
    surface = fit_surface(scored, domain)
    assert surface is not None
    return surface


def best(shape: Callable[[float], float], domain: SurfaceDomain) -> float:
    """The highest accuracy of the whole surface."""
    weights = np.linspace(0.0, 1.0, 1001)
    if not domain.settings:
        return max(accuracy(shape, ConstantPoint(weight=weight)) for weight in weights)
    rates = np.geomspace(1e-3, 0.1, 201)
    return 85.0 + max(
        shape(weight) - 2.0 * min((math.log10(rate / 0.02) - 0.3 * (weight - 0.5)) ** 2 for rate in rates)
        for weight in weights
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searches", type=int, default=20, help="of each row")
    parser.add_argument("--noise", type=float, default=0.6, help="deviation of one training, in points")
    parser.add_argument("--seeds", type=int, default=2, help="of each constant")
    parser.add_argument("--most", type=int, default=40, help="constants at most")
    arguments = parser.parse_args()
    print(f"{'settings':<9}{'curve':<22}points  trainings  missed  expected  holds  seconds")
    for name, domain in (("one", ONE), ("several", SEVERAL)):
        for label, shape in SHAPES.items():
            began, top = time.process_time(), best(shape, domain)
            found = [
                tune(shape, domain, arguments.noise, arguments.seeds, arguments.most, seed)
                for seed in range(arguments.searches)
            ]
            points = np.mean([len(surface.observed) for surface in found])
            missed = np.mean([top - accuracy(shape, surface.chosen) for surface in found])
            expected = 100.0 * np.mean([surface.certificate.expected_loss for surface in found])
            holds = np.mean([surface.certificate.holds for surface in found])
            seconds = (time.process_time() - began) / arguments.searches
            print(
                f"{name:<9}{label:<22}{points:>6.1f}{points * arguments.seeds:>11.0f}{missed:>8.2f}{expected:>10.2f}"
                f"{holds:>7.0%}{seconds:>9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
