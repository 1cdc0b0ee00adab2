from .plan import planned_trials as planned_trials
from .searcher import METRIC as METRIC
from .searcher import PlannedSearch as PlannedSearch
from .searcher import Run as Run
from .searcher import dump_runs as dump_runs
from .searcher import scores_of as scores_of
