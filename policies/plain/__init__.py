"""Rules as plain PyTorch that needs nothing of this package."""
