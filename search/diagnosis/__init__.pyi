from .files import write_diagnosis as write_diagnosis
from .python import diagnose as diagnose
from .record import Diagnosis as Diagnosis
from .record import read_diagnosis as read_diagnosis
from .run import diagnose_config as diagnose_config
from .wording import diagnosis_text as diagnosis_text
