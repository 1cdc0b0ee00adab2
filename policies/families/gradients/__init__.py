"""Rules that look at the two gradients of a batch."""
