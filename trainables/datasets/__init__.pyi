from .decoded import decode as decode
from .fingerprint import add_images as add_images
from .fingerprint import dataset_fingerprint as dataset_fingerprint
from .loading import check_dataset as check_dataset
from .loading import load_dataset as load_dataset
