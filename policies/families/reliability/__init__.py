"""Rules that look at how often the teacher has been right."""
