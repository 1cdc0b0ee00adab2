"""Rules that look at the two losses."""
