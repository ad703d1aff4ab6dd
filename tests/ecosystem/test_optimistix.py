"""Optimistix: the unknown of an equation, of a fit and of a minimum is a struct."""

import jax
import jax.numpy as jnp
import optimistix
import pytest
from _trees import STATES


def two(x, y):
    """The pair as a tuple, which is what the structs are compared with."""
    return x, y


# Each problem in the two unknowns and a parameter `a`: how it is solved, and its solution for `a` = 2.
PROBLEMS = {
    "root": (
        lambda x, y, a: (x**2 + y - a, x - y),
        lambda f, start, a: optimistix.root_find(f, optimistix.Newton(rtol=1e-6, atol=1e-6), start, a),
        (1.0, 1.0),
    ),
    "fixed point": (
        lambda x, y, a: (jnp.cos(y) / a, jnp.sin(x) / a),
        lambda f, start, a: optimistix.fixed_point(f, optimistix.FixedPointIteration(rtol=1e-6, atol=1e-6), start, a),
        None,
    ),
    "least squares": (
        lambda x, y, a: (x - a, 10 * (y - x**2)),
        lambda f, start, a: optimistix.least_squares(f, optimistix.LevenbergMarquardt(rtol=1e-6, atol=1e-6), start, a),
        (2.0, 4.0),
    ),
    "minimum": (
        lambda x, y, a: (x - a) ** 2 + (y - x) ** 2,
        lambda f, start, a: optimistix.minimise(f, optimistix.BFGS(rtol=1e-6, atol=1e-6), start, a),
        (2.0, 2.0),
    ),
}


def solver(problem, kind):
    """The solution as a function of the start and the parameter, with `kind` for the unknowns and the residuals."""
    function, solve, _ = PROBLEMS[problem]

    def residuals(unknown, a):
        x, y = unknown if kind is two else (unknown.x, unknown.y)
        result = function(x, y, a)
        return kind(*result) if isinstance(result, tuple) else result

    return jax.jit(lambda start, a: solve(residuals, start, a).value)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("kind", STATES)
def test_a_struct_is_the_unknown(problem, kind):
    start, expected = (jnp.array(0.8), jnp.array(0.6)), PROBLEMS[problem][2]
    solve, solve_tuple = solver(problem, kind), solver(problem, two)
    value = solve(kind(*start), 2.0)
    assert type(value) is kind and value.name == "state"
    assert (value.x, value.y) == solve_tuple(start, 2.0)
    assert expected is None or jnp.allclose(jnp.array([value.x, value.y]), jnp.array(expected), atol=1e-3)
    gradient = jax.grad(lambda a: solve(kind(*start), a).x)(2.0)
    assert gradient == jax.grad(lambda a: solve_tuple(start, a)[0])(2.0) != 0
