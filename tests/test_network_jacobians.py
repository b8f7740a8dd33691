"""Derivatives by the parameters, a row for each point, against autodiff of the whole model."""

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import kaehler_networks, network_jacobians, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP, PARAMETERISATIONS

QUINTIC = Dwork(5)


CASES = [("ntk", (6, 5)), ("mup", (4,))] + [
    pytest.param(*case, marks=pytest.mark.slow)
    for case in [(name, (6, 5)) for name in PARAMETERISATIONS if name != "ntk"] + [("ntk", ())]
]


@pytest.mark.parametrize(("parameterisation", "hidden"), CASES)
def test_rows_are_those_of_autodiff(parameterisation, hidden):
    options = {"activation": kaehler_networks.smooth_relu, "parameterisation": parameterisation}
    model = kaehler_networks.PotentialMetric(MLP(jax.random.key(0), (25, *hidden, 1), **options), 0.3)
    sample = drawn.points(QUINTIC, 40, 1)
    jets = training.frame_points(sample, training.exact_kappa(QUINTIC)).jet[:7]
    weights = jax.random.normal(jax.random.key(2), (7, 9))
    theta, unravel = ravel_pytree(model)

    def value(entries):
        return jnp.sin(jnp.sum(weights * entries, axis=1))

    def whole(theta):
        return value(jax.vmap(unravel(theta).entries)(jets))

    found, rows = eqx.filter_jit(network_jacobians.rows)(model, jets, value)
    expected = jax.jit(jax.jacfwd(whole))(theta)
    np.testing.assert_allclose(found, jax.jit(whole)(theta), rtol=1e-12)
    np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-12)
