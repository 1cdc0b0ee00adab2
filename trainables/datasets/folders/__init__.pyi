from .layout import Layout as Layout
from .layout import find_layout as find_layout
