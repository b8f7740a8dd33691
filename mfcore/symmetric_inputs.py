r"""Inputs that have the symmetries of the Fermat hypersurface built in, for a `PotentialMetric`.

Where psi = 0, multiplying a homogeneous coordinate by an N-th root of unity is an isometry of the Ricci-flat
metric. The N^2 real numbers |z_i|^2 / |z|^2 and (2 z_i conj(z_j) / |z|^2)^N, i < j, do not see it, and every
polynomial in z_i conj(z_j) / |z|^2 that does not see it is one in them. A network of these numbers has to
learn the metric on one part in N^(N-1) of the hypersurface. Permutations and conjugation it must still learn.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import training
from mfcore._typing import Array, Complex, Float
from mfcore.sampling import Sample, fubini_study_pullback

Features = Callable[[Array], Array]


def fermat_invariants(z: Complex[Array, " hom"]) -> Float[Array, " features"]:
    """|z_i|^2 / |z|^2, then real, then imaginary parts of (2 z_i conj(z_j) / |z|^2)^N, i < j, at most 1."""
    product = z[:, None] * z.conj() / jnp.vdot(z, z).real
    powers = (2 * product[np.triu_indices(len(z), k=1)]) ** len(z)
    return jnp.concatenate([jnp.diagonal(product).real, powers.real, powers.imag])


def jet_of(
    features: Features, z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
) -> Float[Array, "channels features"]:
    """Features with their derivatives, in the channels of `mfcore.kaehler_networks`, by nested autodiff.

    The hypersurface may be replaced by its tangent plane: being holomorphic, it has no part in d dbar.
    """
    dim = len(jacobian)

    def along(x: Array) -> Array:
        return features(z + (x[:dim] + 1j * x[dim:]) @ jacobian)

    at = jnp.zeros(2 * dim)
    slope, bend = jax.jacfwd(along)(at), jax.jacfwd(jax.jacfwd(along))(at)
    xx, xy, yx, yy = bend[:, :dim, :dim], bend[:, :dim, dim:], bend[:, dim:, :dim], bend[:, dim:, dim:]
    real, imag = (xx + yy) / 4, (xy - yx) / 4
    a, b = np.triu_indices(dim, k=1)
    channels = [along(at)[:, None], slope[:, :dim] / 2, -slope[:, dim:] / 2]
    channels += [jnp.diagonal(real, axis1=1, axis2=2), real[:, a, b], imag[:, a, b]]
    return jnp.concatenate(channels, axis=1).T


def frame_points(sample: Sample, kappa: float, dtype: Any = jnp.float64) -> training.FramePoints:
    """`mfcore.training.frame_points` with `fermat_invariants` for inputs; points of a Fermat member."""
    return training.frame_points(sample, kappa, dtype)._replace(jet=_jets(sample).astype(dtype))


@jax.jit
def _jets(sample: Sample) -> Float[Array, "points channels features"]:
    frame = jnp.linalg.inv(jnp.linalg.cholesky(fubini_study_pullback(sample)))
    return jax.lax.map(
        lambda x: jet_of(fermat_invariants, x[0], x[1] @ x[2]),
        (sample.z, frame, sample.jacobian),
        batch_size=2000,
    )
