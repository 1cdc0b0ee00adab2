from .clauses import Clause as Clause
from .tasks import TASK_CLAUSES as TASK_CLAUSES
from .tasks import check_task as check_task
