"""What rules and trainings did that a reader must know of."""
