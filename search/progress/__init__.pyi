from .confirmation import ConfirmationBoard as ConfirmationBoard
from .confirmation import ConfirmationProgress as ConfirmationProgress
from .console import Terminal as Terminal
from .console import end_unread as end_unread
from .console import is_read as is_read
from .search import Board as Board
from .search import Followed as Followed
from .search import TerminalListener as TerminalListener
