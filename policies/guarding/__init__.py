"""The parts of the guard: what it detects, and how it intervenes."""
