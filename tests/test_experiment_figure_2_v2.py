"""The spectra of version 2: the slope of the loss against autodiff by the parameters; traces that agree."""

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose

from mfcore import kaehler_networks, network_ntk, networks, training
from mfcore.experiments import figure_2_v2 as figure

PARAMS = figure.EXPERIMENT.sample | {"train": 1024, "points": 4}


@pytest.fixture(scope="module")
def points():
    sample = drawn.points(figure.QUINTIC, 7, 1)
    return training.chart_points(sample, figure.KAPPA)


@pytest.fixture(scope="module")
def values():
    return figure.trial(PARAMS)


@pytest.mark.slow
def test_the_slope_of_the_loss_pulled_back_is_its_gradient(points):
    """J^T r = dL/dtheta, whichever the components: so r^T Theta r is the rate at which descent lowers L."""
    model = kaehler_networks.ComponentMetric(networks.MLP(jax.random.key(0), (25, 6, 9)), 0.7)
    expected = ravel_pytree(eqx.filter_grad(training.mean_loss)(model, points))[0]
    for view in (points, network_ntk.without_background(points)):
        slope = figure.loss_slope(model, points, view)
        jacobian = network_ntk.component_jacobian(model, view).reshape(len(slope), -1)
        assert_allclose(jacobian.T @ slope, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.slow
def test_spectra_have_the_traces_of_their_kernels(values):
    gram, cross, symmetric = values["gram"], values["cross"], values["cross_symmetric"]
    assert gram.shape == symmetric.shape == (2, 2, 36)
    assert cross.shape == (2, 2, 36, 2)
    # K and (K + K^T) / 2 have one trace, and it is real.
    assert_allclose(cross[..., 0].sum(axis=-1), symmetric.sum(axis=-1), rtol=1e-10)
    assert_allclose(cross[..., 1].sum(axis=-1), 0, atol=1e-9)
    assert (gram.min(axis=-1) > -1e-12 * gram.max(axis=-1)).all()
    assert (symmetric.min(axis=-1) < -1e-3 * gram.max(axis=-1)).all()
    for i, kernel in enumerate(figure.KERNELS):
        start, end = gram[i]
        assert_allclose(values[f"trace_ratio_{kernel}"], end.sum() / start.sum(), rtol=1e-10)
        p = end / end.sum()
        rank = np.exp(-np.sum(p * np.log(p)))
        assert_allclose(values[f"effective_rank_end_{kernel}"], rank, rtol=1e-8)


@pytest.mark.slow
def test_training_lowers_sigma_and_moves_the_kernel(values):
    assert values["sigma_end"] < values["sigma_start"]
    for kernel in figure.KERNELS:
        assert 0.01 < values[f"relative_change_{kernel}"] < 1
        assert 0 < values[f"distance_{kernel}"] < values[f"relative_change_{kernel}"]


@pytest.mark.slow
def test_the_network_is_trained_in_the_precision_asked_for_and_returned_in_double():
    train, fresh = (drawn.points(figure.QUINTIC, 600, k) for k in (2, 3))
    keys = jax.random.split(jax.random.key(4))
    found = {
        dtype: figure.trained(PARAMS | {"train": 600, "dtype": dtype}, train, fresh, *keys)
        for dtype in ("float32", "float64")
    }
    for dtype, pair in found.items():
        for leaf in jax.tree.leaves(eqx.filter(pair, eqx.is_inexact_array)):
            assert leaf.dtype == jnp.float64
            assert bool((leaf == leaf.astype(jnp.float32)).all()) == (dtype == "float32")
    # Both took the same steps.
    single, double = (ravel_pytree(found[dtype][1])[0] for dtype in ("float32", "float64"))
    start = ravel_pytree(found["float64"][0])[0]
    assert_allclose(single - start, double - start, atol=0.02 * float(abs(double - start).max()))
