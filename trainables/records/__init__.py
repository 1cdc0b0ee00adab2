"""What a trial leaves behind, as plain data."""
