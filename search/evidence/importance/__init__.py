"""Which settings moved the score most."""
