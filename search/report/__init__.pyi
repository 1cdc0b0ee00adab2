from .document import report_json as report_json
from .figures.groups import figure_groups as figure_groups
from .files import report_tables as report_tables
from .files import write_report as write_report
from .terminal.confirmation import render_confirmation as render_confirmation
from .terminal.fitted import Column as Column
from .terminal.fitted import FittedTable as FittedTable
from .terminal.report import render_report as render_report
