"""For all tests."""

import hypothesis
import torch

# The same examples in every run, so that a red run is of what was changed.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

# Students here are tiny: a second thread gains nothing, and on a busy machine waiting for it costs many times the work.
torch.set_num_threads(1)
