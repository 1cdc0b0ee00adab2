from .functions import FUNCTION_CLAUSES as FUNCTION_CLAUSES
from .functions import check_function as check_function
from .tasks import TASK_CLAUSES as TASK_CLAUSES
from .tasks import check_task as check_task
