"""Rules that follow the training's progress alone."""
