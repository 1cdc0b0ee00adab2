"""The judgement in sentences."""
