"""What is tried next: a pure function of the settings, a seed, the round, and the scores of earlier rounds."""

from search.propose.choice import best_by_model, expected_scores
from search.propose.engines import ENGINES
from search.propose.observation import Observation
from search.propose.proposal import propose, propose_context
from search.propose.seeds import seed_of

__all__ = ["ENGINES", "Observation", "best_by_model", "expected_scores", "propose", "propose_context", "seed_of"]
