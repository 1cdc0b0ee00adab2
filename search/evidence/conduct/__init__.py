"""Examines rules and trainings for facts that a reader must know."""
