"""Writes the judgement in sentences."""
