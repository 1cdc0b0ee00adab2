from .cache import Decoded as Decoded
from .cache import decoded_images as decoded_images
from .decoding import decode as decode
