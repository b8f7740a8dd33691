"""Oracles: SciPy's matrix logarithm, invariance, the length of a curve, the sign of the curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose

from mfcore import curvature, positive_matrices


def positive(key, dim, dtype):
    a = jax.random.normal(key, (dim, dim), dtype)
    return a @ a.conj().T + jnp.eye(dim)


@pytest.mark.parametrize("dtype", [float, complex])
def test_distance_is_the_norm_of_the_logarithm_and_does_not_depend_on_coordinates(key, dtype):
    keys = jax.random.split(key, 3)
    g, h = (positive(k, 3, dtype) for k in keys[:2])
    root = scipy.linalg.fractional_matrix_power(np.asarray(g), -0.5)
    expected = np.linalg.norm(scipy.linalg.logm(root @ np.asarray(h) @ root))
    assert_allclose(positive_matrices.affine_invariant_distance(g, h), expected, rtol=1e-10)
    assert_allclose(positive_matrices.affine_invariant_distance(h, g), expected, rtol=1e-10)
    change = jax.random.normal(keys[2], (3, 3), dtype)
    moved = [change @ m @ change.conj().T for m in (g, h)]
    assert_allclose(positive_matrices.affine_invariant_distance(*moved), expected, rtol=1e-9)


def test_distance_of_what_is_no_metric_is_nan():
    assert jnp.isnan(
        positive_matrices.affine_invariant_distance(jnp.eye(2), jnp.diag(jnp.array([1.0, -1.0])))
    )
    assert jnp.isnan(
        positive_matrices.affine_invariant_distance(jnp.diag(jnp.array([1.0, -1.0])), jnp.eye(2))
    )


def test_trace_norm_is_the_speed_of_the_distance(key):
    g, h = positive(key, 3, float), jnp.diag(jnp.array([0.5, -1.0, 2.0]))
    step = 1e-5
    speed = positive_matrices.affine_invariant_distance(g, g + step * h) / step
    assert_allclose(speed**2, positive_matrices.trace_norm2(g, h), rtol=1e-4)


def test_the_trace_metric_on_two_by_two_matrices_is_a_line_times_a_hyperbolic_plane():
    # Scalar curvature of the plane of constant curvature -1/2 is -1; the line adds nothing.
    basis = jnp.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]]])

    def metric(p):
        g = jnp.tensordot(p, basis, 1)
        norm2 = jax.vmap(lambda c: positive_matrices.trace_norm2(g, jnp.tensordot(c, basis, 1)))
        e = jnp.eye(3)
        pairs = (e[:, None] + e[None]).reshape(9, 3)
        return (norm2(pairs).reshape(3, 3) - norm2(e)[:, None] - norm2(e)[None]) / 2

    assert_allclose(curvature.scalar_curvature(metric, jnp.array([1.3, 0.8, 0.4])), -1, rtol=1e-10)
