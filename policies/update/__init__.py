"""One update of the student: from the two losses to their gradients, the readings and `.grad`."""
