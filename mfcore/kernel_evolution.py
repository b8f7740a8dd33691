r"""How far a kernel has moved, and what it holds: measures of kernel matrices, of one or of two times.

A matrix has a row for each (point, component) and a column for each (point', component), the point outer, as
`network_ntk.gram` makes them. Between two sets of points it is neither symmetric nor positive. <A, B> = sum
A_ij B_ij, and |A| is the Frobenius norm. For the evolution of the metric-NTK (paper section 2, conclusions).
"""

from typing import TypeAlias

import numpy as np

from mfcore._typing import Array, Complex, Float

Kernel: TypeAlias = Float[Array | np.ndarray, "rows columns"]
Later: TypeAlias = Float[Array | np.ndarray, "rows2 columns2"]  # its shape is compared by the functions

SYMMETRY = 1e-6  # allowed asymmetry of a Gram matrix, relative to its largest entry: single precision passes


def spectrum(kernel: Kernel) -> Float[np.ndarray, " rows"]:
    """All eigenvalues of a symmetric matrix, rising; not negative, to rounding, for a Gram matrix."""
    k = _square(kernel)
    gap = np.abs(k - k.T).max()
    if gap > SYMMETRY * np.abs(k).max():
        raise ValueError(
            f"not symmetric, by {gap:.2g} of entries up to {np.abs(k).max():.2g}: "
            "take `complex_spectrum`, or this of the symmetric part"
        )
    return np.linalg.eigvalsh((k + k.T) / 2)


def complex_spectrum(kernel: Kernel) -> Complex[np.ndarray, " rows"]:
    """All eigenvalues of any square matrix, as between two sets of points: by real, then imaginary part."""
    return np.sort_complex(np.linalg.eigvals(_square(kernel)))


def symmetric_part(kernel: Kernel) -> Float[np.ndarray, "rows columns"]:
    """(K + K^T) / 2, whose eigenvalues are real; between two sets of points some are negative."""
    k = _square(kernel)
    return (k + k.T) / 2


def scale_blind_distance(a: Kernel, b: Later) -> float:
    """1 - <A, B> / |A| |B|, in [0, 2], and in [0, 1] for Gram matrices; 0 where B is a multiple of A.

    The kernel distance of Fort et al. (2020, arXiv:2010.15110): it does not see a change of scale.
    """
    x, y = _pair(a, b)
    # Half of the squared distance of the unit vectors is the same number, and exact where it is small.
    return float(np.sum((x / _size(x) - y / _size(y)) ** 2) / 2)


def velocity(a: Kernel, b: Later, time: float) -> float:
    """`scale_blind_distance` per unit of training time between the two (Fort et al. 2020); not negative."""
    if not time > 0:
        raise ValueError(f"{time} between the two kernels: give a time above 0, the second kernel later")
    return scale_blind_distance(a, b) / time


def relative_change(a: Kernel, b: Later) -> float:
    """|B - A| / |A|, from 0 on; it sees a change of scale: c - 1 for B = c A with c > 1."""
    x, y = _pair(a, b)
    return float(np.linalg.norm(y - x) / _size(x))


def trace_ratio(a: Kernel, b: Later) -> float:
    """tr B / tr A: by how much the mean eigenvalue has grown; above 0 for Gram matrices."""
    x, y = _pair(_square(a), _square(b))
    if np.trace(x) == 0:
        raise ValueError("the trace of the first kernel is 0: no ratio to it")
    return float(np.trace(y) / np.trace(x))


def effective_rank(kernel: Kernel) -> float:
    """exp of the entropy of the normalised spectrum: exp(-sum p_i log p_i), p_i = s_i / sum_j s_j.

    From 1 (one direction) to the number of rows (all alike). s_i are the singular values, which are the
    eigenvalues of a Gram matrix (Roy and Vetterli 2007).
    """
    values = np.linalg.svd(_nonzero(kernel), compute_uv=False)
    p = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(p * np.log(p))))


def alignment(kernel: Kernel, residual: Float[Array | np.ndarray, " entries"]) -> float:
    """r^T K r / |K| |r|^2, in [-1, 1], and in [0, 1] for a Gram matrix; 1 where K is a multiple of r r^T.

    The alignment of K with the target r r^T (Cristianini et al. 2001). With r the derivative of a loss by
    the components, r^T K r is the rate at which descent lowers that loss.
    """
    k, r = _square(kernel), np.asarray(residual, float)
    if len(r) != len(k) or not np.any(r):
        raise ValueError(f"a residual of {len(r)} numbers for {len(k)} rows: one a row, not all 0")
    return float(r @ k @ r / (_size(k) * (r @ r)))


def component_share(kernel: Kernel, components: int) -> float:
    """|U^T K U|^2 / |K|^2, U the unit vectors that are one component, constant over the points; in [0, 1].

    Squared norms are sums of squared eigenvalues: the share is near 1 where the largest eigenvalues belong to
    changes of whole components, alike at all points. 1 / points for a multiple of the unit matrix.
    """
    k = _nonzero(kernel)
    if components < 1 or any(n % components for n in k.shape):
        raise ValueError(f"a matrix of shape {k.shape} for {components} components: need multiples of them")
    points = [n // components for n in k.shape]
    sums = k.reshape(points[0], components, points[1], components).sum(axis=(0, 2))
    return float(np.sum(sums**2) / (points[0] * points[1] * np.sum(k**2)))


def _checked(kernel: Kernel) -> np.ndarray:
    k = np.asarray(kernel, float)
    if not np.all(np.isfinite(k)):
        raise ValueError(f"{np.sum(~np.isfinite(k))} of {k.size} entries are NaN or infinite; recompute them")
    return k


def _square(kernel: Kernel) -> np.ndarray:
    k = _nonzero(kernel)
    if k.shape[0] != k.shape[1]:
        raise ValueError(f"a kernel of shape {k.shape}: need as many rows as columns")
    return k


def _nonzero(kernel: Kernel) -> np.ndarray:
    k = _checked(kernel)
    if not np.any(k):
        raise ValueError(f"a kernel of shape {k.shape} without an entry other than 0: it has no direction")
    return k


def _pair(a: Kernel, b: Later) -> tuple[np.ndarray, np.ndarray]:
    x, y = _nonzero(a), _checked(b)
    if x.shape != y.shape:
        raise ValueError(f"kernels of shapes {x.shape} and {y.shape}: compare those of the same points")
    return x, y


def _size(kernel: np.ndarray) -> float:
    size = float(np.linalg.norm(kernel))
    if size == 0:
        raise ValueError(f"a kernel of shape {kernel.shape} is 0: it has no direction to compare")
    return size
