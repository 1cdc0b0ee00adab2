"""Students of one architecture that train as one stacked model."""
