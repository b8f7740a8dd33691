r"""Spectral calculus on a complex torus C^n / lattice: d_a, dbar_b, and integrals.

A field is an array whose first 2n axes are the grid, in the directions of the periods; further axes are its
components. d_a = d/dz^a = (d/dx^a - i d/dy^a) / 2, so that d_a dbar_a is a quarter of the Laplacian. The
measure is d^(2n)x, Lebesgue's. Derivatives are exact for modes below half the side; the highest has none.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float, Shaped


class ComplexTorus(NamedTuple):
    """C^n modulo 2n ``periods``, each of n complex numbers, with an even ``side`` of points along each."""

    periods: tuple[tuple[complex, ...], ...]
    side: int

    @property
    def dim(self) -> int:
        """Complex dimension n."""
        return len(self.periods) // 2


def square(dim: int, side: int, period: float = 2 * np.pi) -> ComplexTorus:
    """The product of n tori C / period (Z + iZ); in the order x^1, y^1, x^2, ..."""
    units = [period * w * np.eye(dim)[a] for a in range(dim) for w in (1, 1j)]
    return checked(ComplexTorus(tuple(tuple(map(complex, u)) for u in units), side))


def checked(torus: ComplexTorus) -> ComplexTorus:
    """The torus, if its periods span C^n over the reals and its side is even."""
    shape = np.shape(torus.periods)
    if len(shape) != 2 or shape[0] != 2 * shape[1] or torus.side < 4 or torus.side % 2:
        raise ValueError(
            f"periods of shape {shape}, side {torus.side}: need 2n periods of n numbers, an even side from 4"
        )
    if abs(np.linalg.det(_both(torus))) < 1e-12 * np.prod(np.linalg.norm(torus.periods, axis=1)):
        raise ValueError(f"the periods {torus.periods} depend on one another over the reals")
    return torus


def points(torus: ComplexTorus) -> Complex[np.ndarray, "*grid dim"]:
    """The grid, at half steps: the origin, where functions of interest have poles, is not on it."""
    line = (np.arange(torus.side) + 0.5) / torus.side
    return np.stack(np.meshgrid(*[line] * 2 * torus.dim, indexing="ij"), axis=-1) @ np.asarray(torus.periods)


def wave_covectors(torus: ComplexTorus) -> Complex[np.ndarray, "*grid dim"]:
    """K_a with d_a f = i K_a f for each Fourier mode f, in the order of the discrete transform.

    Zero for modes of half the side in any direction, which the grid does not tell from their conjugates.
    """
    line = np.fft.fftfreq(torus.side, 1 / torus.side)
    modes = np.stack(np.meshgrid(*[line] * 2 * torus.dim, indexing="ij"), axis=-1)
    modes *= np.all(2 * np.abs(modes) < torus.side, axis=-1, keepdims=True)
    # Fractions of the periods are s = A z + conj(A z), and a mode is exp(2 pi i m s).
    return 2 * np.pi * modes @ np.linalg.inv(_both(torus)).T[: torus.dim].T


def gradient(torus: ComplexTorus, field: Shaped[Array, "..."]) -> Complex[Array, "..."]:
    """d_a f of a real or complex function, the index behind the grid."""
    return _multiplied(torus, field, 1j * wave_covectors(torus))


def second(torus: ComplexTorus, field: Float[Array, "..."]) -> Complex[Array, "..."]:
    """d_a d_b f, the indices behind the grid."""
    k = wave_covectors(torus)
    return _multiplied(torus, field, -k[..., :, None] * k[..., None, :])


def mixed(torus: ComplexTorus, field: Float[Array, "..."]) -> Complex[Array, "..."]:
    """d_a dbar_b f, the indices behind the grid."""
    k = wave_covectors(torus)
    return _multiplied(torus, field, -k[..., :, None] * k[..., None, :].conj())


def truncated(torus: ComplexTorus, field: Float[Array, "..."]) -> Float[Array, "..."]:
    """A real function without its modes of a third of the side or more, into which products fold back."""
    line = np.abs(np.fft.fftfreq(torus.side)) < 1 / 3
    keep = np.ones((torus.side,) * 2 * torus.dim)
    for axis in range(2 * torus.dim):
        keep = keep * np.expand_dims(line, [i for i in range(2 * torus.dim) if i != axis])
    return jnp.fft.ifftn(jnp.fft.fftn(field) * keep).real


def integral(torus: ComplexTorus, field: Float[Array, "..."]) -> Float[Array, ""]:
    """Integral of a function in Lebesgue's measure."""
    volume = abs(np.linalg.det(_both(torus))) / 2**torus.dim
    return volume * jnp.mean(field)


def _both(torus: ComplexTorus) -> Complex[np.ndarray, "real real"]:
    # Columns are the periods; rows are z^a, then conj(z^a).
    p = np.asarray(torus.periods).T
    return np.concatenate([p, p.conj()])


def _multiplied(torus: ComplexTorus, field: Array, symbol: np.ndarray) -> Array:
    grid = tuple(range(2 * torus.dim))
    if field.shape != (torus.side,) * len(grid):
        raise ValueError(f"a field of shape {field.shape} on a grid of {(torus.side,) * len(grid)}")
    modes = jnp.fft.fftn(field).reshape(field.shape + (1,) * (symbol.ndim - field.ndim))
    return jnp.fft.ifftn(modes * symbol, axes=grid)
