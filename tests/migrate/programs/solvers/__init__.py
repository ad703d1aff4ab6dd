"""A small library of the kind that diffrax is: terms, paths, solvers and controllers as equinox modules."""

from .controllers import PID, AbstractController, Constant
from .integrate import Solution, solve
from .paths import AbstractPath, Sine
from .solvers import AbstractSolver, Euler, Heun
from .terms import ODE, AbstractTerm, Forced, Neural

__all__ = [
    "ODE",
    "PID",
    "AbstractController",
    "AbstractPath",
    "AbstractSolver",
    "AbstractTerm",
    "Constant",
    "Euler",
    "Forced",
    "Heun",
    "Neural",
    "Sine",
    "Solution",
    "solve",
]
