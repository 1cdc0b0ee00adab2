"""What the guard watches, and what it does."""
