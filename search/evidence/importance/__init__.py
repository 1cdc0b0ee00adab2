"""Measures which settings moved the score most."""
