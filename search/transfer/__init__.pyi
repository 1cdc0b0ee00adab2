from .plan import plan_transfer as plan_transfer
from .run import Transferred as Transferred
from .run import transfer_search as transfer_search
from .store import read_transfer as read_transfer
from .store import read_transfers as read_transfers
