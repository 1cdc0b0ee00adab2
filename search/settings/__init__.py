"""The search file and what it means."""
