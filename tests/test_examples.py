"""Oracles: what a metric and a weight must be, and that the examples have the features they are named for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mfcore import examples, torus


@pytest.mark.parametrize("dim", [2, 3])
def test_the_metric_is_one_and_has_no_symmetry(dim):
    x = torus.grid(12, dim).reshape(-1, dim)
    g = jax.vmap(examples.lopsided_metric)(x)
    eigenvalues = np.linalg.eigvalsh(g)
    np.testing.assert_array_equal(g, np.swapaxes(g, 1, 2))
    assert 0.5 < eigenvalues.min() < eigenvalues.max() < 1.5
    # neither translations along an axis, nor reflection, nor exchange of the axes
    for moved in (x + 0.5 * jnp.eye(dim)[0], x + 0.5 * jnp.eye(dim)[-1], -x):
        assert np.abs(jax.vmap(examples.lopsided_metric)(moved) - g).max() > 0.05
    exchanged = jax.vmap(examples.lopsided_metric)(x[:, ::-1])[:, ::-1, ::-1]
    assert np.abs(exchanged - g).max() > 0.05


@pytest.mark.parametrize("dim", [2, 3])
def test_the_weight_is_positive_and_periodic(dim):
    x = torus.grid(12, dim).reshape(-1, dim)
    weight = jax.vmap(examples.lopsided_weight)(x)
    assert weight.min() > 0.5
    np.testing.assert_allclose(jax.vmap(examples.lopsided_weight)(x + 2 * np.pi), weight, rtol=1e-12)
