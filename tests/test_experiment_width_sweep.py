"""The sweep over widths: that its rates hold the training time fixed, and that what diverges is told."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from mfcore import energies, networks, training
from mfcore.experiments import width_sweep as sweep
from mfcore.kaehler_networks import ComponentMetric, smooth_relu

PARAMS = sweep.EXPERIMENT.sample


@pytest.fixture(scope="module")
def points():
    return sweep.data_of(0, 640, 200, 10, "float64").points


def network(parameterisation, width, seed=0):
    options = {"parameterisation": parameterisation, "sigma_w": sweep.SIGMA_W, "sigma_b": 0.0}
    net = networks.MLP(jax.random.key(seed), (25, *[width] * 3, 9), activation=smooth_relu, **options)
    return ComponentMetric(net, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("parameterisation", networks.PARAMETERISATIONS)
def test_rate_times_kernel_does_not_depend_on_the_width(points, parameterisation):
    def product(width):
        traces = [
            np.trace(sweep.kernel_of(network(parameterisation, width, seed), points)) for seed in range(4)
        ]
        return sweep.rate_of(parameterisation, width) * np.mean(traces)

    # Between these widths the kernel of "standard" grows, and that of "mup" falls, eightfold.
    assert 0.7 < product(1024) / product(128) < 1.4


@pytest.mark.slow
def test_weights_of_hidden_layers_move_half_as_far_in_standard_as_in_ntk(points):
    width = 40
    moved = {}
    for parameterisation in ("ntk", "standard"):
        rate = sweep.rate_of(parameterisation, width)
        method = training.descent(optax.sgd(rate), energies.squared)
        start = network(parameterisation, width)
        run = training.train(start, points, points, jax.random.key(1), method=method, epochs=1, batch_size=10)
        moved[parameterisation] = [
            run.model.components.layer(i)[0] - start.components.layer(i)[0] for i in range(4)
        ]
    for layer, factor in enumerate((25 / width, 1, 1, 1)):
        ntk, standard = moved["ntk"][layer], moved["standard"][layer]
        assert_allclose(standard, factor / 2 * ntk, rtol=1e-6, atol=1e-8 * float(jnp.abs(ntk).max()))


@pytest.mark.slow
def test_a_run_that_diverges_says_so():
    with pytest.raises(ValueError, match="diverged at the rate 1e"):
        sweep.trial(PARAMS | {"rate": 1e6})


@pytest.mark.slow
def test_a_slow_descent_moves_the_kernel_in_proportion_to_its_rate():
    """And sigma falls; the distance, which is a squared angle, goes as the square."""
    slow, slower = (sweep.trial(PARAMS | {"rate": rate}) for rate in (1e-3, 5e-4))
    assert slow["sigma"] < slower["sigma"] < slow["sigma_start"]
    assert_allclose(slow["relative_change"], 2 * slower["relative_change"], rtol=0.05)
    assert_allclose(slow["distance"], 4 * slower["distance"], rtol=0.1)
    assert_allclose(slow["kernel_start"], slower["kernel_start"], rtol=1e-14)


def test_every_trial_is_planned_once_and_the_rates_are_those_of_its_width():
    plan = sweep._plan()
    assert len(plan) == len(sweep.EXPERIMENT.chains) == 7 * 3 * 5 + 2 * 5 * 5 + 1
    for params in plan[:-1]:
        if params["sigma_w"] == sweep.SIGMA_W:
            assert params["rate"] == sweep.rate_of(params["parameterisation"], params["width"])
        else:
            assert_allclose(params["rate"] * params["alpha"] ** 2, sweep.LAZY_RATE, rtol=1e-14)
