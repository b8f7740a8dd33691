"""The baseline for sampling: the same record as `mfcore.sampling.Sample`, by NumPy alone.

The roots on all lines come from one batched call of numpy.linalg.eigvals on companion matrices. Fermat only.
"""

from math import comb
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """The fields of `mfcore.sampling.Sample`."""

    z: np.ndarray
    line: np.ndarray
    patch: np.ndarray
    eliminated: np.ndarray
    jacobian: np.ndarray
    omega: np.ndarray
    weight: np.ndarray


def random_points(seed: int, degree: int, n_points: int) -> Record:
    """Points cut out of the Fermat variety by random lines, with all that belongs to them."""
    n_lines = -(-n_points // degree)
    normal = np.random.default_rng(seed).normal(size=(2, n_lines, degree, 2))
    p, q = normal.view(complex)[..., 0]
    record = points_of_lines(p, q)
    return Record(*(field[:n_points] for field in record))


def points_of_lines(p: np.ndarray, q: np.ndarray) -> Record:
    """All intersections of the lines p + t q, one row of ``p`` and ``q`` each."""
    n_lines, degree = p.shape
    t = polish(p, q, roots(power_sum(p, q)))
    z = (p[:, None, :] + t[:, :, None] * q[:, None, :]).reshape(-1, degree)
    points = np.arange(len(z))
    patch = np.abs(z).argmax(axis=1)
    z = z / z[points, patch][:, None]
    gradient = degree * powers(z, degree - 1)[-1]
    size = np.abs(gradient)
    size[points, patch] = -1
    eliminated = size.argmax(axis=1)
    jacobian = jacobians(gradient, patch, eliminated)
    omega = 1 / gradient[points, eliminated]
    norm2, gradient2 = (np.sum(v.real**2 + v.imag**2, axis=1) for v in (z, gradient))
    weight = norm2 ** (degree - 1) / gradient2
    return Record(z, np.repeat(np.arange(n_lines), degree), patch, eliminated, jacobian, omega, weight)


def power_sum(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Rising coefficients in t of sum_i (p_i + t q_i)^degree, [line, power]."""
    degree = p.shape[1]
    p_powers, q_powers = powers(p, degree), powers(q, degree)
    return np.stack(
        [comb(degree, k) * np.sum(p_powers[degree - k] * q_powers[k], axis=1) for k in range(degree + 1)],
        axis=1,
    )


def roots(c: np.ndarray) -> np.ndarray:
    """Roots of each row of rising coefficients: the eigenvalues of its companion matrix."""
    degree = c.shape[1] - 1
    companion = np.zeros((len(c), degree, degree), dtype=complex)
    companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1
    companion[:, :, -1] = -c[:, :-1] / c[:, -1:]
    return np.linalg.eigvals(companion)


def polish(p: np.ndarray, q: np.ndarray, t: np.ndarray) -> np.ndarray:
    """One Newton step on Q(p + t q) itself; without it, residuals exceed the 1e-12 asked of both routes."""
    degree = p.shape[1]
    z = p[:, None, :] + t[:, :, None] * q[:, None, :]
    slope = powers(z, degree - 1)[-1]
    return t - np.sum(slope * z, axis=2) / (degree * np.einsum("lri,li->lr", slope, q))


def powers(z: np.ndarray, highest: int) -> list[np.ndarray]:
    """z^0, z, ..., z^highest, by products: NumPy's complex power is ten times slower."""
    found = [np.ones_like(z)]
    for _ in range(highest):
        found.append(found[-1] * z)
    return found


def jacobians(gradient: np.ndarray, patch: np.ndarray, eliminated: np.ndarray) -> np.ndarray:
    """J[point, a, i] = dz^i/dx^a, the local coordinates in rising order."""
    n_points, n = gradient.shape
    points = np.arange(n_points)
    free = np.ones((n_points, n), dtype=bool)
    free[points, patch] = free[points, eliminated] = False
    free = np.nonzero(free)[1].reshape(n_points, n - 2)
    jacobian = np.zeros((n_points, n - 2, n), dtype=complex)
    jacobian[points[:, None], np.arange(n - 2), free] = 1
    slope = -gradient[points[:, None], free] / gradient[points, eliminated][:, None]
    jacobian[points, :, eliminated] = slope
    return jacobian
