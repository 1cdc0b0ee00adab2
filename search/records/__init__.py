"""A search and its confirmation as plain data."""
