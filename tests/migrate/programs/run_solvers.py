"""Solves some equations with the package `solvers`, differentiates, batches, and prints every bit that came out."""

import hashlib
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import solvers

digest, leaves = hashlib.sha256(), 0


def add(tree):
    global leaves
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode() + array.tobytes())
        leaves += 1


y0 = jnp.arange(3.0)
decay = solvers.ODE(lambda t, y: -y, 0.5)
forced = solvers.Forced(lambda t, y: -y, 0.5, solvers.Sine())
neural = solvers.Neural(3, key=jax.random.key(0))
for term in (decay, forced, neural, neural.rescaled(2.0)):
    for solver in (solvers.Euler(), solvers.Heun()):
        for controller in (solvers.Constant(0.1), solvers.PID(0.1, pcoeff=0.2)):
            solution = solvers.solve(term, solver, controller, y0, 20)
            add(solution)
            add(solution.evaluate(0.55))


def loss(term):
    return jnp.sum(solvers.solve(term, solvers.Heun(), solvers.PID(0.1, pcoeff=0.2), y0, 20).ys ** 2)


for term in (decay, neural):
    add(eqx.filter_grad(loss)(term))
    add(eqx.apply_updates(term, jax.tree.map(lambda leaf: -0.1 * leaf, eqx.filter_grad(loss)(term))))
rates = jax.vmap(lambda rate: solvers.ODE(lambda t, y: -y, rate))(jnp.linspace(0.0, 1.0, 4))
add(eqx.filter_vmap(lambda term: solvers.solve(term, solvers.Euler(), solvers.Constant(0.1), y0, 10))(rates))
try:
    solvers.Neural(0, key=jax.random.key(0))
except Exception as error:
    refused = type(error).__name__
else:
    refused = None
structs = [name for name in solvers.__all__ if hasattr(getattr(solvers, name), "__struct__")]
print(json.dumps({"digest": digest.hexdigest(), "leaves": leaves, "refused": refused, "structs": structs}))
