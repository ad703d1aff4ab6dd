"""Solvers: one step at a time."""

import abc
from typing import ClassVar

import equinox as eqx

from . import terms as term_module
from .terms import AbstractTerm


class AbstractSolver(eqx.Module):
    order: ClassVar[int]

    @abc.abstractmethod
    def step(self, term: AbstractTerm, t, dt, y): ...


class Euler(AbstractSolver):
    order = 1

    def step(self, term, t, dt, y):
        return y + term.prod(dt, term.vf(t, y))


class Heun(Euler):
    order = 2
    weights: tuple[float, float] = eqx.field(static=True, default=(0.5, 0.5))

    def step(self, term: "term_module.AbstractTerm", t, dt, y):
        first = term.prod(dt, term.vf(t, y))
        second = term.prod(dt, term.vf(t + dt, y + first))
        return y + self.weights[0] * first + self.weights[1] * second
