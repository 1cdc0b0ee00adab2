"""Renders the report in a terminal."""
