"""Rules that choose a λ for every sample."""
