"""How numbers, names and scores are written."""
