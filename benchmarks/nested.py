"""The potential model's training step by nested automatic differentiation, the baseline of `mfcore.training`.

The Hessian of phi comes from ``jax.hessian``, either by the real and imaginary parts of the five homogeneous
coordinates, as public codes do it, or by those of the three local ones. Network, data and optimiser are the
same as in `mfcore`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mfcore._typing import Array
from mfcore.kaehler_networks import invariants
from mfcore.sampling import Sample, fubini_study_pullback


class NestedPoints(NamedTuple):
    """Coordinates by which phi is differentiated, and what `mfcore.training.FramePoints` has besides."""

    z: Array  # homogeneous coordinates
    frame: Array  # rows: the directions, orthonormal for g_FS, by which the metric is wanted
    eta: Array
    weight: Array

    def ratio(self, model: Any) -> Array:
        """eta of a `PotentialMetric`; the same number as `mfcore.training.FramePoints.ratio`."""
        g = jax.vmap(lambda z, frame: model.alpha * self.mixed(model.phi, z, frame))(self.z, self.frame)
        return self.eta * jnp.linalg.det(jnp.eye(g.shape[1], dtype=g.dtype) + g).real


class AmbientPoints(NestedPoints):
    """Ten real coordinates; the mixed derivatives are then pulled back."""

    @staticmethod
    def mixed(phi: Any, z: Array, frame: Array) -> Array:
        """d dbar phi along the frame."""
        return frame @ _mixed_hessian(lambda z: phi(invariants(z))[0], z) @ frame.conj().T


class LocalPoints(NestedPoints):
    """Six real coordinates, along the frame."""

    @staticmethod
    def mixed(phi: Any, z: Array, frame: Array) -> Array:
        """d dbar phi along the frame: z + x frame has the derivatives of the variety, up to holomorphic."""
        zero = jnp.zeros(len(frame), z.dtype)
        return _mixed_hessian(lambda x: phi(invariants(z + x @ frame))[0], zero)


def _mixed_hessian(function: Any, at: Array) -> Array:
    n = len(at)
    h = jax.hessian(lambda u: function(jax.lax.complex(u[:n], u[n:])))(jnp.concatenate([at.real, at.imag]))
    xx, xy, yx, yy = h[:n, :n], h[:n, n:], h[n:, :n], h[n:, n:]
    return (xx + yy + 1j * (xy - yx)) / 4


def nested_points(kind: type, sample: Sample, kappa: float, dtype: Any) -> Any:
    """The data of a sample, in one precision."""
    frame = jnp.linalg.inv(jnp.linalg.cholesky(fubini_study_pullback(sample))) @ sample.jacobian
    weight = sample.weight / jnp.mean(sample.weight)
    points = kind(sample.z, frame, 1 / (sample.weight * kappa), weight)
    return jax.tree.map(
        lambda x: x.astype(jnp.result_type(dtype, 1j) if jnp.iscomplexobj(x) else dtype), points
    )
