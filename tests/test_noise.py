"""Noised points: where they lie, how far they moved, and in which chart they are described."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import noise, sampling
from mfcore.hypersurface import Dwork, jacobian, omega
from mfcore.projective import geodesic_distance

MEMBERS = [Dwork(5), Dwork(4, 0.4 + 0.3j)]


@pytest.fixture(scope="module")
def sample():
    """Many points of the quintic in one chart."""
    return sampling.random_points_in_patch(jax.random.key(0), Dwork(), 4000, patch=2, eliminated=0).sample


@pytest.mark.parametrize("variety", [MEMBERS[0], pytest.param(MEMBERS[1], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("name", noise.NOISE_READINGS)
def test_noise_keeps_the_chart_and_scales_the_distance(variety, name):
    sample = drawn.points_in_patch(variety, 300, patch=2, eliminated=0)
    means = []
    for scale in (1e-6, 1e-5):
        moved = noise.NOISE_READINGS[name](jax.random.key(1), variety, sample, scale)
        assert_array_equal(moved.patch, 2)
        assert_array_equal(moved.eliminated, 0)
        gradient = jax.vmap(variety.gradient)(moved.z)
        assert_allclose(moved.omega, jax.vmap(omega)(gradient, moved.eliminated), rtol=1e-12)
        assert_allclose(
            moved.jacobian, jax.vmap(jacobian)(gradient, moved.patch, moved.eliminated), rtol=1e-12
        )
        on_variety = np.abs(jax.vmap(variety.polynomial)(moved.z)).max() < 1e-12
        assert on_variety == (name != "off the quintic")
        means.append(jax.vmap(geodesic_distance)(moved.z, sample.z).mean())
    assert_allclose(means[1] / means[0], 10, rtol=1e-3)
    assert 0.5e-6 < means[0] < 5e-6


def test_solving_again_leaves_the_noised_coordinates_alone(sample):
    sample = sample.take(jnp.arange(300))
    raw = noise.off_variety(jax.random.key(1), Dwork(), sample, 0.1)
    solved = noise.solved_again(jax.random.key(1), Dwork(), sample, 0.1)
    assert_array_equal(solved.z[:, 1:], raw.z[:, 1:])
    # Of the five roots, which differ by fifth roots of unity, none is nearer to the old value.
    others = solved.z[:, :1] * np.exp(2j * np.pi * np.arange(1, 5) / 5)
    old = sample.z[:, :1]
    assert np.all(np.abs(solved.z[:, :1] - old) <= np.abs(others - old).min(axis=1, keepdims=True))


def test_noise_is_complex_normal_of_the_scale_asked(key, sample):
    shift = np.asarray(noise.off_variety(key, Dwork(), sample, 0.01).z - sample.z)
    assert_array_equal(shift[:, 2], 0)
    noised = np.delete(shift, 2, axis=1)
    for part in (noised.real, noised.imag):
        assert_allclose(part.std(axis=0), 0.01, rtol=0.06)  # 5 standard errors
        assert np.abs(part.mean(axis=0)).max() < 5 * 0.01 / 4000**0.5


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_noise_without_a_positive_scale_is_refused(key, sample, scale):
    with pytest.raises(ValueError, match="positive standard deviation"):
        noise.off_variety(key, Dwork(), sample, scale)
