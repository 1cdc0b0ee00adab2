"""The best tuned constant λ: a surface over λ, learning rate and temperature, and when it is known well enough."""

from search.constants.bracket import Enough, first_points, next_point
from search.constants.points import ConstantPoint, ConstantScore, SurfaceDomain
from search.constants.surface import Certificate, CurvePoint, Surface, fit_surface

__all__ = [
    "Certificate",
    "ConstantPoint",
    "ConstantScore",
    "CurvePoint",
    "Enough",
    "Surface",
    "SurfaceDomain",
    "first_points",
    "fit_surface",
    "next_point",
]
