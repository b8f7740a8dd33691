"""Derivatives by the parameters, a row for each point, against autodiff of the whole model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mfcore import kaehler_networks, network_jacobians, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP, PARAMETERISATIONS

QUINTIC = Dwork(5)


CASES = [(name, (6, 5)) for name in PARAMETERISATIONS] + [("ntk", ()), ("mup", (4,))]


@pytest.mark.parametrize(("parameterisation", "hidden"), CASES)
def test_rows_are_those_of_autodiff(parameterisation, hidden):
    options = {"activation": kaehler_networks.smooth_relu, "parameterisation": parameterisation}
    model = kaehler_networks.PotentialMetric(MLP(jax.random.key(0), (25, *hidden, 1), **options), 0.3)
    sample = sampling.random_points(jax.random.key(1), QUINTIC, 40)
    jets = training.frame_points(sample, training.exact_kappa(QUINTIC)).jet[:7]
    weights = jax.random.normal(jax.random.key(2), (7, 9))
    theta, unravel = ravel_pytree(model)

    def value(entries):
        return jnp.sin(jnp.sum(weights * entries, axis=1))

    found, rows = network_jacobians.rows(model, jets, value)
    expected = jax.jacfwd(lambda theta: value(jax.vmap(unravel(theta).entries)(jets)))(theta)
    np.testing.assert_allclose(found, value(jax.vmap(model.entries)(jets)), rtol=1e-12)
    np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-12)
