from .numbers import count as count
from .numbers import duration as duration
from .numbers import family_title as family_title
from .numbers import number as number
from .numbers import percent as percent
from .numbers import sentence_case as sentence_case
from .numbers import time_left as time_left
from .scale import Scale as Scale
