"""Measures how often a rule that reads noisy gradients decides as it would without noise; see `tiers.py`."""
