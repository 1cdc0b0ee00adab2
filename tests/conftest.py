"""For all tests."""

import torch

# Students here are tiny: a second thread gains nothing, and on a busy machine waiting for it costs many times the work.
torch.set_num_threads(1)
