"""What a search stands on: data, teacher, and the teacher's outputs."""
