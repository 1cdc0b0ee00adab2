"""Statistics of paired differences: their noise, their power, and what would settle them."""
