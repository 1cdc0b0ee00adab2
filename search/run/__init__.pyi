from .publish import project as project
from .publish import publish_champion as publish_champion
from .publish import publish_report as publish_report
from .publish import report_source as report_source
from .search import resume_search as resume_search
from .search import run_search as run_search
from .status import search_status as search_status
from .status import status_lines as status_lines
