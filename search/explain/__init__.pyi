from .figure import plot_decisions as plot_decisions
from .figure import write_figure as write_figure
from .source import find_source as find_source
from .summary import Branch as Branch
from .summary import Explanation as Explanation
from .summary import explain as explain
from .summary import explanation_json as explanation_json
from .wording import explanation_text as explanation_text
