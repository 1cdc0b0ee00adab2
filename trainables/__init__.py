"""Distils one student under one policy: data, models, teacher, the training loop and its Ray Tune trial."""
