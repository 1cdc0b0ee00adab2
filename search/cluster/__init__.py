"""Ray's sessions and jobs, and what nodes share."""
