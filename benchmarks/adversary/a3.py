# teacher trained on the student's own wrongly labelled pictures (no clean data anywhere), and noisy validation labels
from a2 import *
