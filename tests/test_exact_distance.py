"""Points at an exact distance: on the variety, that far away, and in no preferred direction."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

from mfcore import exact_distance
from mfcore.hypersurface import Dwork

MEMBERS = [Dwork(5), Dwork(5, 0.5 + 0.3j), Dwork(3)]
OTHERS = [pytest.param(variety, marks=pytest.mark.slow) for variety in MEMBERS[1:]]
DISTANCES = [1e-9, 1e-6, 1e-2, 0.3, 0.5]


def sample_of(variety):
    return drawn.points(variety, 1000)


def sine(x, y):
    """sin d by the part of y orthogonal to x, in extended precision."""
    x, y = (np.asarray(a, np.clongdouble) for a in (x, y))
    y = y / np.sqrt(np.sum(abs(y) ** 2, axis=1, keepdims=True))
    x = x / np.sqrt(np.sum(abs(x) ** 2, axis=1, keepdims=True))
    across = y - x * np.sum(x.conj() * y, axis=1, keepdims=True)
    return np.sqrt(np.sum(abs(across) ** 2, axis=1))


@pytest.mark.parametrize("variety", [MEMBERS[0], *OTHERS], ids=str)
@pytest.mark.parametrize("distance", DISTANCES)
def test_points_are_on_the_variety_at_the_distance_asked_for(variety, distance):
    sample = sample_of(variety)
    moved = exact_distance.at_distance(jax.random.key(1), variety, sample, distance).sample
    # The coordinates of the points hold 1e-16; nothing is lost beyond that, down to the smallest distance.
    assert np.abs(np.arcsin(sine(sample.z, moved.z).astype(float)) - distance).max() < 1e-13
    z = np.asarray(moved.z)
    z = z / np.abs(z).max(axis=1, keepdims=True)
    value = np.sum(z**variety.degree, axis=1) - variety.degree * variety.psi * np.prod(z, axis=1)
    assert np.abs(value).max() < 1e-12
    assert_array_equal(moved.patch, sample.patch)
    assert_array_equal(moved.eliminated, sample.eliminated)
    assert_array_equal(moved.line, sample.line)


@pytest.mark.parametrize("variety", [MEMBERS[0], *OTHERS], ids=str)
def test_the_point_along_a_direction_is_the_one_a_general_solver_finds(variety):
    for k, z in enumerate(sample_of(variety).z[:5]):
        x = z / jnp.linalg.norm(z)
        gradient = variety.gradient(x)
        u = exact_distance.tangent_direction(jax.random.key(k), x, gradient)
        y, reached = exact_distance.point_along(variety, x, u, jnp.array(0.2))
        assert reached
        x, u, n = (np.asarray(a) for a in (x, u, gradient.conj() / jnp.linalg.norm(gradient)))

        def point(w, x=x, u=u, n=n):
            v = u + (w[0] + 1j * w[1]) * n
            return np.cos(0.2) * x + np.sin(0.2) * v / np.linalg.norm(v)

        def miss(w, point=point):
            q = complex(variety.polynomial(jnp.asarray(point(w))))
            return q.real, q.imag

        expected = point(optimize.root(miss, (0.0, 0.0), tol=1e-14).x)
        assert_allclose(y / np.linalg.norm(y), expected, atol=1e-9)


@pytest.mark.slow
def test_directions_are_uniform_on_the_tangent_sphere():
    variety, number = Dwork(5), 20_000
    one = sample_of(variety).take(jnp.zeros(number, int))
    moved = exact_distance.at_distance(jax.random.key(2), variety, one, 1e-5).sample
    x = np.asarray(one.z[0] / jnp.linalg.norm(one.z[0]))
    gradient = np.asarray(variety.gradient(jnp.asarray(x)))
    # An orthonormal frame of the tangent space: what is orthogonal to x and to conj(dQ).
    frame = np.linalg.svd(np.stack([x.conj(), gradient]))[2][2:].conj()
    z = np.asarray(moved.z)
    z = z / (z @ x.conj())[:, None]
    direction = (z - x) @ frame.conj().T / 1e-5
    real = np.concatenate([direction.real, direction.imag], axis=1)
    assert_allclose(np.linalg.norm(real, axis=1), 1, atol=1e-8)
    assert np.abs(real.mean(axis=0)).max() < 5 * (6 * number) ** -0.5
    # The second and fourth moments of the unit sphere in R^6 are 1/6 and 3/48; their own errors from below.
    second, fourth = real.T @ real / number, np.mean(real**4, axis=0)
    assert_allclose(second, np.eye(6) / 6, atol=5 * 0.18 / number**0.5)
    assert_allclose(fourth, 3 / 48, atol=5 * 0.11 / number**0.5)


def test_a_direction_that_ends_too_soon_is_replaced_and_counted():
    # On the quintic at 1.2 a few directions bend away before the distance is reached.
    sample = sample_of(Dwork(5))
    moved = exact_distance.at_distance(jax.random.key(2), Dwork(5), sample, 1.2)
    assert (moved.tries.min(), moved.tries.max()) == (1, 2)
    assert_allclose(sine(sample.z, moved.sample.z).astype(float), np.sin(1.2), atol=1e-10)


@pytest.mark.parametrize("distance", [0.0, -0.1, 1.6, float("nan")])
def test_a_distance_outside_the_range_is_refused(distance):
    with pytest.raises(ValueError, match="between 0 and pi/2"):
        exact_distance.at_distance(jax.random.key(0), Dwork(3), sample_of(Dwork(3)), distance)


def test_points_that_cannot_be_reached_are_refused(monkeypatch):
    monkeypatch.setattr(exact_distance, "TRIES", 1)
    sample = sample_of(Dwork(5)).take(jnp.arange(999))  # another shape, so that it is compiled anew
    with pytest.raises(ValueError, match="have no point of the variety at distance 1.2 in any of 1"):
        exact_distance.at_distance(jax.random.key(2), Dwork(5), sample, 1.2)
