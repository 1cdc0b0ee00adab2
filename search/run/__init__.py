"""Runs a search, from its start to its report."""
