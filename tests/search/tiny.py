"""A search small enough for a test, and a listener that keeps all news."""

from search.records import Listener
from search.settings.search_file import SearchConfig, load_config

TINY = [
    "name=tiny",
    'families=["fixed", "norm_balance"]',
    "trials_per_family=4",
    "constant.most_trials=4",
    "replicates=2",
    "evaluations=3",
    "trace_points=5",
    "training.epochs=6",
    "teacher.training.epochs=4",
    "data.validation_size=300",
]


def tiny_config(*overrides: str) -> SearchConfig:
    """Configure a search of eight trials that take a fraction of a second each."""
    return load_config("digits-quick", [*TINY, *overrides])


class QuietListener(Listener):
    """Keeps all news that it receives."""

    def __init__(self) -> None:
        self.stages, self.records, self.teacher_news, self.begun, self.ended = [], [], [], None, False

    def stage(self, text):
        self.stages.append(text)

    def teacher(self, progress):
        self.teacher_news.append(progress)

    def search_begins(self, search, config):
        self.begun = search

    def trial(self, record):
        self.records.append(record)

    def end(self):
        self.ended = True
