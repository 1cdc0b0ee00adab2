"""Everything that one trial depends on, as settings."""
