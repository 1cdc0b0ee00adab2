from .cost import Example as Example
from .cost import count_flops as count_flops
from .cost import measure_figures as measure_figures
from .folding import folded as folded
from .own import own_constructor as own_constructor
from .own import try_out_own_model as try_out_own_model
from .registry import check_model as check_model
from .registry import create_model as create_model
