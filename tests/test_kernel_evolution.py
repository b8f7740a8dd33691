"""Measures of kernels, on matrices whose measures are known exactly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import kernel_evolution as evolution

RNG = np.random.default_rng(0)
ROTATION = np.linalg.qr(RNG.normal(size=(6, 6)))[0]


def with_spectrum(*values):
    basis = ROTATION[: len(values), : len(values)] if len(values) < 6 else ROTATION
    return np.linalg.qr(basis)[0] @ np.diag(values) @ np.linalg.qr(basis)[0].T


def test_spectra():
    assert_allclose(evolution.spectrum(with_spectrum(3.0, 0.5, 7.0)), [0.5, 3, 7], rtol=1e-13)
    turn = np.array([[1.0, -2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, -5.0]])
    assert_allclose(evolution.complex_spectrum(turn), [-5, 1 - 2j, 1 + 2j], rtol=1e-14)
    assert_allclose(evolution.spectrum(evolution.symmetric_part(turn)), [-5, 1, 1], rtol=1e-14)
    with pytest.raises(ValueError, match="not symmetric, by 4 of entries up to 5"):
        evolution.spectrum(turn)


def test_scale_blind_distance_is_the_cosine_between_matrices():
    first, second, third = (np.diag(v) for v in ([1.0, 0, 0], [0, 2.0, 0], [3.0, 3.0, 0]))
    assert_allclose(evolution.scale_blind_distance(first, second), 1, rtol=1e-14)
    assert_allclose(evolution.scale_blind_distance(first, third), 1 - 0.5**0.5, rtol=1e-14)
    assert_allclose(evolution.scale_blind_distance(first, -first), 2, rtol=1e-14)
    assert evolution.scale_blind_distance(third, 17 * third) < 1e-30
    # 1 - cos t for matrices at the angle t, to all digits where 1 - <A, B> / |A| |B| has none left.
    t = 1e-9
    turned = np.diag([np.cos(t), np.sin(t), 0])
    assert_allclose(evolution.scale_blind_distance(first, turned), t**2 / 2, rtol=1e-6)
    assert_allclose(evolution.velocity(first, third, 4.0), (1 - 0.5**0.5) / 4, rtol=1e-14)


def test_relative_change_and_trace_ratio_see_the_scale():
    a, b = np.diag([3.0, 4.0]), np.array([[3.0, 12.0], [0.0, 4.0]])
    assert_allclose(evolution.relative_change(a, b), 12 / 5, rtol=1e-14)
    assert_allclose(evolution.relative_change(a, 22 * a), 21, rtol=1e-14)
    assert_allclose(evolution.relative_change(b, a), 12 / 13, rtol=1e-14)
    assert_allclose(evolution.trace_ratio(with_spectrum(1.0, 2.0, 3.0), with_spectrum(4.0, 5.0, 6.0)), 2.5)


def test_effective_rank():
    assert_allclose(evolution.effective_rank(np.eye(5)), 5, rtol=1e-13)
    assert_allclose(evolution.effective_rank(3 * np.outer([1.0, 2, 2], [1.0, 2, 2])), 1, rtol=1e-12)
    # Eigenvalues 1/2, 1/4, 1/4: the entropy is 1.5 bits; the sign of an eigenvalue does not matter.
    assert_allclose(evolution.effective_rank(with_spectrum(2.0, 1.0, 1.0)), 2**1.5, rtol=1e-12)
    assert_allclose(evolution.effective_rank(with_spectrum(2.0, -1.0, 1.0)), 2**1.5, rtol=1e-12)


def test_alignment():
    r = np.array([1.0, -2.0, 2.0])
    assert_allclose(evolution.alignment(5 * np.outer(r, r), 3 * r), 1, rtol=1e-14)
    assert_allclose(evolution.alignment(-np.outer(r, r), r), -1, rtol=1e-14)
    assert_allclose(evolution.alignment(np.eye(3), r), 3**-0.5, rtol=1e-14)
    assert_allclose(evolution.alignment(np.outer([2.0, 1, 0], [2.0, 1, 0]), r), 0, atol=1e-15)


def test_component_share_is_that_of_the_constant_vectors():
    points, components = 4, 3
    block = RNG.normal(size=(components, components))
    constant = np.kron(np.ones((points, points)), block)
    assert_allclose(evolution.component_share(constant, components), 1, rtol=1e-13)
    assert_allclose(evolution.component_share(np.eye(12), components), 1 / points, rtol=1e-13)
    # Of mean 0 over the points: none. Orthogonal parts share as their squared norms.
    x = np.array([1.0, -1.0, 2.0, -2.0])
    varying = np.kron(np.outer(x, x), block)
    assert_allclose(evolution.component_share(varying, components), 0, atol=1e-15)
    share = np.sum(constant**2) / np.sum(constant**2 + varying**2)
    assert_allclose(evolution.component_share(constant + varying, components), share, rtol=1e-13)
    # The same by the projector on these vectors, between different numbers of points.
    kernel = RNG.normal(size=(12, 6))
    left, right = (np.kron(np.full((n, n), 1 / n), np.eye(components)) for n in (4, 2))
    projected = np.sum((left @ kernel @ right) ** 2) / np.sum(kernel**2)
    assert_allclose(evolution.component_share(kernel, components), projected, rtol=1e-13)


SQUARE, WIDE, NOTHING = np.eye(4), np.ones((2, 3)), np.zeros((4, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evolution.spectrum(WIDE), "as many rows as columns"),
        (lambda: evolution.complex_spectrum(WIDE), "as many rows as columns"),
        (lambda: evolution.effective_rank(np.full((2, 2), np.nan)), "4 of 4 entries are NaN"),
        (lambda: evolution.relative_change(SQUARE, np.eye(3)), "compare those of the same points"),
        (lambda: evolution.relative_change(NOTHING, SQUARE), "without an entry other than 0"),
        (lambda: evolution.scale_blind_distance(SQUARE, NOTHING), "is 0"),
        (lambda: evolution.velocity(SQUARE, SQUARE, 0.0), "a time above 0"),
        (lambda: evolution.trace_ratio(np.eye(2)[::-1], np.eye(2)), "trace of the first kernel is 0"),
        (lambda: evolution.effective_rank(NOTHING), "without an entry other than 0"),
        (lambda: evolution.alignment(SQUARE, np.ones(3)), "a residual of 3 numbers for 4 rows"),
        (lambda: evolution.alignment(SQUARE, np.zeros(4)), "not all 0"),
        (lambda: evolution.component_share(SQUARE, 3), "multiples"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
