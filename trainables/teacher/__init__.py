"""The teacher: its checkpoint, its training, and its outputs."""
