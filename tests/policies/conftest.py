"""A shared zoo of gradients' geometries, degenerate ones included."""

import itertools
import math

import pytest

from policies import Geometry

SCALES = (1e-12, 1.0, 1e12)
COSINES = (-1.0, -0.5, 0.0, 0.5, 1.0)

ZOO = [
    Geometry(a, b, cosine * math.sqrt(a) * math.sqrt(b)) for a, b, cosine in itertools.product(SCALES, SCALES, COSINES)
] + [Geometry(0.0, 0.0, 0.0), Geometry(1.0, 0.0, 0.0), Geometry(0.0, 1.0, 0.0)]


@pytest.fixture(params=ZOO, ids=str)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    return request.param
