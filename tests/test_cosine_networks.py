"""Cosine nets and Gauss-net against autodiff, Monte Carlo, quadrature, neural-tangents and Poisson sums."""

import sys
import types
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import gamma

from mfcore import cosine_networks as cn

X, Y = jnp.array([0.3, -0.5, 0.8]), jnp.array([-0.2, 0.1, 0.6])


def within_four_errors(samples, expected, relative):
    """The mean is `expected` within four standard errors, and these are below `relative` of it."""
    error = np.std(samples, ddof=1) / np.sqrt(len(samples))
    assert error < relative * abs(expected)
    assert abs(np.mean(samples) - expected) < 4 * error


def ntk_by_autodiff(network, x, y, trained):
    """sum over the arrays that `trained` takes of a network, of the products of their gradients."""
    gx, gy = (eqx.filter_grad(lambda n, z=z: n(z))(network) for z in (x, y))
    return sum(jnp.sum(u * v) for u, v in zip(trained(gx), trained(gy), strict=True))


def networks(key):
    return {
        "cosine": cn.cosine_network(key, 3, 7, 2.0, sigma_a=0.7, amplitude=1.3),
        "periodic": cn.periodic_cosine_network(key, 3, 7, 0.5, sigma_a=0.7),
        "gauss": cn.gauss_network(key, 3, 7, 0.9, sigma_b=0.4, sigma_a=0.7, amplitude=1.3),
    }


def test_values_by_hand():
    a, w, b = jnp.array([2.0, -3.0]), jnp.array([[1.0, 2.0], [0.5, -1.0]]), jnp.array([0.1, 0.2])
    x = jnp.array([0.3, -0.4])
    u = np.array([0.3 - 0.8 + 0.1, 0.15 + 0.4 + 0.2])
    cosine = cn.CosineNetwork(a, w, b, amplitude=5.0)
    periodic = cn.PeriodicCosineNetwork(a, jnp.array([[1, 2], [3, -1]]), b, amplitude=5.0)
    gauss = cn.GaussNetwork(a, w, b, amplitude=5.0, sigma_w=2.0, sigma_b=3.0)
    scale = 5 / np.sqrt(2)
    norm = np.sqrt(np.exp(2 * (9 + 4 * 0.25 / 2)))
    assert_allclose(cosine(x), scale * (2 * np.cos(u[0]) - 3 * np.cos(u[1])))
    assert_allclose(periodic(x), scale * (2 * np.cos(u[0]) - 3 * np.cos(0.9 + 0.4 + 0.2)))
    assert_allclose(gauss(x), scale * (2 * np.exp(u[0]) - 3 * np.exp(u[1])) / norm)
    first, second = np.cos(0.4) + np.cos(-0.7), np.cos(0.35) + np.cos(0.6)
    assert_allclose(cn.printed_network(cosine, x), scale * (2 * first - 3 * second))


def test_last_layer_kernel_is_the_product_of_gradients(key):
    for name, network in networks(key).items():
        expected = ntk_by_autodiff(network, X, Y, lambda g: [g.a])
        assert_allclose(cn.last_layer_ntk(network, X, Y), expected, rtol=1e-12, err_msg=name)


def test_periodic_kernel_is_that_of_the_arrays_with_gradients(key):
    network = networks(key)["periodic"]
    expected = ntk_by_autodiff(network, X, Y, lambda g: jax.tree.leaves(g))
    assert_allclose(cn.periodic_ntk(network, X, Y), expected, rtol=1e-12)
    assert len(jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))) == 2  # a and b alone


def test_printed_kernels_are_those_of_the_printed_network(key):
    network = networks(key)["cosine"]
    gx, gy = (
        jax.grad(lambda a, z=z: cn.printed_network(eqx.tree_at(lambda n: n.a, network, a), z))(network.a)
        for z in (X, Y)
    )
    assert_allclose(cn.printed_network_ntk(network, X, Y), jnp.dot(gx, gy), rtol=1e-12)
    # (2.33) keeps only j = l: each axis alone is a cosine net of one dimension.
    axes = [
        cn.last_layer_ntk(
            cn.CosineNetwork(network.a, network.w[:, j : j + 1], network.b, 1.3), X[j:][:1], Y[j:][:1]
        )
        for j in range(3)
    ]
    assert_allclose(cn.printed_ntk(network, X, Y), sum(axes), rtol=1e-12)


@pytest.mark.parametrize("dim", [2, 6])
def test_limits_of_the_cosine_net_by_monte_carlo(dim):
    x, y = jax.random.normal(jax.random.key(dim), (2, dim)) * 0.4
    sigma_w, amplitude = 1.5, 1.2

    @jax.jit
    @jax.vmap
    def of_a_net(key):
        network = cn.cosine_network(key, dim, 64, sigma_w, sigma_a=0.5, amplitude=amplitude)
        kernels = (cn.last_layer_ntk, cn.printed_ntk, cn.printed_network_ntk)
        return *(kernel(network, x, y) for kernel in kernels), network(x) * network(y)

    kernel, printed, of_printed, product = of_a_net(jax.random.split(jax.random.key(23), 4000))
    expected = cn.gaussian_ntk(x, y, sigma_w, amplitude)
    within_four_errors(kernel, expected, 4e-3)
    within_four_errors(printed, cn.printed_ntk_limit(x, y, sigma_w, amplitude), 4e-3)
    within_four_errors(of_printed, cn.printed_network_ntk_limit(x, y, sigma_w, amplitude), 5e-3)
    within_four_errors(product, 0.5**2 * expected, 0.05)  # NNGP = sigma_a^2 times the kernel


def test_gaussian_kernel_by_quadrature_over_weight_and_bias():
    # E over w by Gauss-Hermite, over b by the rectangle rule, exact for a trigonometric polynomial.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    b = np.arange(8) * 2 * np.pi / 8
    sigma_w, x, y = 1.7, np.array([0.4, -0.3]), np.array([-0.5, 0.2])
    w1, w2 = np.meshgrid(nodes, nodes)
    u, v = ((w1 * z[0] + w2 * z[1])[..., None] * sigma_w / np.sqrt(2) + b for z in (x, y))
    mean = np.einsum("ij,ij->", np.outer(weights, weights), np.mean(np.cos(u) * np.cos(v), axis=-1)) / (
        2 * np.pi
    )
    assert_allclose(cn.gaussian_ntk(jnp.array(x), jnp.array(y), sigma_w, 1.3), 1.69 * mean, rtol=1e-12)


@pytest.mark.slow
def test_gauss_network_kernel_by_quadrature_and_monte_carlo(key):
    nodes, weights = np.polynomial.hermite_e.hermegauss(50)
    sigma_w, sigma_b, x, y = 0.9, 0.5, jnp.array([0.4, -0.3]), jnp.array([-0.5, 0.6])
    w1, w2, b = (jnp.array(m.ravel()) for m in np.meshgrid(nodes, nodes, nodes))
    w = jnp.stack([w1, w2], axis=1) * sigma_w / np.sqrt(2)
    network = cn.GaussNetwork(w1, w, b * sigma_b, amplitude=1.0, sigma_w=sigma_w, sigma_b=sigma_b)
    of_node = np.prod(np.meshgrid(weights, weights, weights), axis=0).ravel() / (2 * np.pi) ** 1.5
    expected = cn.gauss_network_ntk(x, y, sigma_w, 1.3)
    assert_allclose(1.69 * np.sum(of_node * network.features(x) * network.features(y)), expected, rtol=1e-10)

    make = partial(
        cn.gauss_network, dim=2, width=64, sigma_w=sigma_w, sigma_b=sigma_b, sigma_a=0.5, amplitude=1.3
    )
    pair = jax.jit(jax.vmap(lambda k: (cn.last_layer_ntk(make(k), x, y), make(k)(x) * make(k)(y))))
    kernel, product = pair(jax.random.split(key, 8000))
    within_four_errors(kernel, expected, 4e-3)
    within_four_errors(product, 0.25 * expected, 0.05)


def test_gauss_network_does_not_overflow_where_its_ratio_is_moderate(key):
    network = cn.gauss_network(key, 1, 64, sigma_w=30.0)
    assert np.all(np.isfinite(network.features(jnp.array([40.0]))))


def test_gaussian_kernel_is_that_of_neural_tangents():
    sys.modules.setdefault("neural_tangents.experimental", types.ModuleType("neural_tangents.experimental"))
    stax = pytest.importorskip("neural_tangents.stax")
    sigma_w, amplitude = 1.7, 1.3
    x = np.asarray(jax.random.normal(jax.random.key(5), (5, 3)))
    ours = jax.vmap(lambda u: jax.vmap(lambda v: cn.gaussian_ntk(u, v, sigma_w, amplitude))(x))(x)
    dense = stax.Dense(1, W_std=sigma_w)

    def mean_square(*layers):
        return stax.serial(dense, *layers)[2](x, None, "nngp")

    # Uniform phases average as the two phases 0 and pi / 2 do.
    assert_allclose(amplitude**2 * (mean_square(stax.Sin()) + mean_square(stax.Cos())) / 2, ours, rtol=1e-12)
    assert_allclose(amplitude**2 / 2 * mean_square(stax.Rbf(gamma=0.5)), ours, rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_normalising_amplitude_makes_the_integral_one(dim):
    sigma_w, centre = 1.7, jnp.zeros(dim)
    sphere = 2 * np.pi ** (dim / 2) / gamma(dim / 2)

    def integral(amplitude):
        def shell(r):
            return r ** (dim - 1) * float(cn.gaussian_ntk(centre, centre.at[0].set(r), sigma_w, amplitude))

        return sphere * quad(shell, 0, 12 * dim**0.5 / sigma_w)[0]

    assert_allclose(integral(cn.normalising_amplitude(dim, sigma_w)), 1, rtol=1e-9)
    printed = 2**0.25 * (sigma_w / np.sqrt(2 * np.pi * dim)) ** (dim / 4)
    assert_allclose(cn.printed_amplitude(dim, sigma_w), printed, rtol=1e-14)
    assert abs(integral(printed) - 1) > 0.05


@pytest.mark.parametrize("length", [0.05, 0.7, 2.4, 2.6, 6.0])
def test_wrapped_gaussian_is_both_poisson_sums(length):
    # Positions beyond one period too; the images are right relatively, Fourier's sum only absolutely.
    u = np.linspace(-8, 8, 33)
    ours = jax.vmap(lambda v: cn.periodic_gaussian(v, jnp.zeros(1), length))(jnp.array(u)[:, None])
    m, k = np.arange(-60, 61)[:, None], np.arange(1, 400)[:, None]
    images = (
        np.sum(np.exp(-((u + 2 * np.pi * m) ** 2) / (2 * length**2)), axis=0) / np.sqrt(2 * np.pi) / length
    )
    fourier = (0.5 + np.sum(np.exp(-((length * k) ** 2) / 2) * np.cos(k * u), axis=0)) / np.pi
    assert_allclose(ours, images, rtol=1e-11)
    assert_allclose(ours, fourier, atol=1e-12 / length)


def test_wrapped_gaussian_is_a_product_over_axes_and_integrates_to_one():
    x, y = jnp.array([0.3, 6.1]), jnp.array([5.9, 0.2])
    axes = [cn.periodic_gaussian(x[i : i + 1], y[i : i + 1], 0.8) for i in range(2)]
    assert_allclose(cn.periodic_gaussian(x, y, 0.8), axes[0] * axes[1], rtol=1e-13)
    grid = jnp.arange(64)[:, None] * 2 * jnp.pi / 64
    total = jnp.sum(jax.vmap(lambda v: cn.periodic_gaussian(v, jnp.zeros(1), 0.8))(grid)) * 2 * jnp.pi / 64
    assert_allclose(total, 1, rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "length"), [(1, 0.3), (3, 1.5)])
def test_periodic_net_tends_to_the_wrapped_gaussian(dim, length):
    x = jnp.linspace(0.1, 0.4, dim)
    y = x + 0.9 * length / dim**0.5

    @jax.jit
    @jax.vmap
    def of_a_net(key):
        network = cn.periodic_cosine_network(key, dim, 64, length, sigma_a=0.6)
        return cn.periodic_ntk(network, x, y), cn.last_layer_ntk(network, x, y)

    both, last = of_a_net(jax.random.split(jax.random.key(7), 8000))
    limit = cn.periodic_gaussian(x, y, length)
    within_four_errors(both, limit, 4e-3)
    within_four_errors(last, limit / 1.36, 4e-3)


def test_periodic_net_is_periodic_with_integers_of_the_discrete_gaussian(key):
    network = cn.periodic_cosine_network(key, 2, 200_000, 0.7)
    x = jnp.array([0.3, 1.1])
    assert_allclose(network(x + 2 * jnp.pi * jnp.array([1, -2])), network(x), atol=1e-10)
    k = np.arange(-30, 31)
    p = np.exp(-((0.7 * k) ** 2) / 2)
    p /= p.sum()
    counts = np.array([np.sum(np.asarray(network.k) == value) for value in range(-3, 4)])
    p = p[27:34]
    assert np.all(abs(counts - 400_000 * p) < 4 * np.sqrt(400_000 * p * (1 - p)))


def test_in_one_dimension_all_readings_agree_and_beyond_they_do_not(key):
    network = cn.cosine_network(key, 1, 9, 2.0)
    x, y = jnp.array([0.3]), jnp.array([-0.6])
    for kernel in (cn.printed_ntk, cn.printed_network_ntk):
        assert_allclose(kernel(network, x, y), cn.last_layer_ntk(network, x, y), rtol=1e-13)
    for limit in (cn.printed_ntk_limit, cn.printed_network_ntk_limit):
        assert_allclose(limit(x, y, 2.0, 1.0), cn.gaussian_ntk(x, y, 2.0, 1.0), rtol=1e-13)
        assert abs(limit(X, Y, 2.0, 1.0) - cn.gaussian_ntk(X, Y, 2.0, 1.0)) > 0.1


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_sizes_that_are_not_positive_are_refused(key, bad):
    calls = [
        lambda: cn.cosine_network(key, 2, 3, float(bad)),
        lambda: cn.gauss_network(key, 2, 3, float(bad)),
        lambda: cn.periodic_cosine_network(key, 2, 3, float(bad)),
        lambda: cn.periodic_gaussian(X, Y, float(bad)),
        lambda: cn.normalising_amplitude(2, float(bad)),
    ]
    if isinstance(bad, int):
        calls += [lambda: cn.cosine_network(key, 2, bad, 1.0), lambda: cn.normalising_amplitude(bad, 1.0)]
    for call in calls:
        with pytest.raises(ValueError, match="positive"):
            call()
