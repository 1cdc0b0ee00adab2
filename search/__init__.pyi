from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import diagnose as diagnose
from .errors import KDPolicySearchError as KDPolicySearchError
from .errors import SearchError as SearchError
from .records import Listener as Listener
from .run.found import Search as Search
from .run.python import open as open  # noqa: A004 - `search.open`
from .run.python import run as run
from .settings import SearchConfig as SearchConfig
from .settings import load_config as load_config
