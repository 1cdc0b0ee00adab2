from .prepare import Teacher as Teacher
from .prepare import check_teacher as check_teacher
from .prepare import prepare_teacher as prepare_teacher
from .progress import TeacherProgress as TeacherProgress
from .targets import accuracy as accuracy
from .targets import compute_assets as compute_assets
from .targets import compute_logits as compute_logits
from .targets import output_precision as output_precision
