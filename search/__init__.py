"""Searches λ policies with Ray Tune and Optuna, tracks them in MLflow and reports which rule pays."""
