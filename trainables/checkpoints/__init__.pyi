from .fitting import Fitted as Fitted
from .fitting import fit_weights as fit_weights
from .initial import check_initial_weights as check_initial_weights
from .initial import read_initial_weights as read_initial_weights
from .reading import Weights as Weights
from .reading import read_weights as read_weights
