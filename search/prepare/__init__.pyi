from .preparation import Prepared as Prepared
from .preparation import load_checked as load_checked
from .preparation import prepare as prepare
from .preparation import teach as teach
from .test_pictures import Ground as Ground
from .test_pictures import Pictures as Pictures
from .test_pictures import prepare_ground as prepare_ground
