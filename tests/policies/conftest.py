import pytest

from policies import Geometry
from policies.testing.zoo import GEOMETRIES


@pytest.fixture(params=GEOMETRIES, ids=str)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    return request.param
