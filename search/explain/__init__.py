"""What a rule did along one training, and why."""
