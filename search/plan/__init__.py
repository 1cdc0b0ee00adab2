"""A search as a plan: what each trial trains, in which order, and who races on."""
