"""The made-up searches of the report's tests, which the judgement is tested on as well."""

from tests.search.report.conftest import (  # noqa: F401 - fixtures
    begun,
    full_search,
    make_search,
    searched,
    trial,
    with_winner,
    without_winner,
    written,
)
