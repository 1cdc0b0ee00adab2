"""The families of λ rules, each in a file of its own."""
