"""Base classes and functions that families of rules share."""
