"""Judges whether a pilot's choice holds under the settings of a scaled search file."""
