from .figures import analysis_figures as analysis_figures
from .files import write_analysis as write_analysis
from .findings import judge_analysis as judge_analysis
from .record import read_analysis as read_analysis
from .run import analyze as analyze
from .settings import probe_settings as probe_settings
from .subject import find_subject as find_subject
from .wording import analysis_text as analysis_text
