r"""Complex projective space P^n with its Fubini-Study geometry.

Points are homogeneous coordinates z in C^(n+1), non-zero, in any scaling. Conventions (notation page,
"Metric"): ds^2 = h_{i jbar} dz^i dzbar^j with h = d dbar log|z|^2 and no factor 1/pi, stored as ``h[i,
jbar]``; with it P^n has diameter pi/2 and a degree-N hypersurface of dimension d the volume N pi^d / d!.
Paper section 3.1.
"""

import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float


def fubini_study_potential(z: Complex[Array, " hom"]) -> Float[Array, ""]:
    """K = log|z|^2; rescaling z by f adds log|f|^2, which d dbar does not see."""
    return jnp.log(_norm2(z))


def fubini_study_metric(z: Complex[Array, " hom"]) -> Complex[Array, "hom hom"]:
    r"""h_{i jbar} = delta_ij / |z|^2 - zbar_i z_j / |z|^4, degenerate along z itself.

    Its pullback to local coordinates (`pullback`) is the metric of the paper's section 3.
    """
    n2 = _norm2(z)
    return jnp.eye(z.shape[0]) / n2 - jnp.outer(z.conj(), z) / n2**2


def pullback(jacobian: Complex[Array, "dim hom"], h: Complex[Array, "hom hom"]) -> Complex[Array, "dim dim"]:
    r"""g_{a bbar} = J_a^i h_{i jbar} conj(J_b^j), that is J h J^dagger with ``jacobian[a, i]`` =
    dz^i/dx^a."""
    return jacobian @ h @ jacobian.conj().T


def geodesic_distance(x: Complex[Array, " hom"], y: Complex[Array, " hom"]) -> Float[Array, ""]:
    r"""Fubini-Study distance of two points of P^n, in [0, pi/2], exact to one rounding (1e-16).

    d = arccos(|<x,y>| / |x||y|), paper (3.2), evaluated as atan2(|x ^ y|, |<x,y>|) with
    |x ^ y|^2 = sum_{i<j} |x_i y_j - x_j y_i|^2 = |x|^2 |y|^2 - |<x,y>|^2 (Lagrange's identity). The gradient
    at coincidence does not exist; differentiate the square of the sine, `chordal_distance2`, there.
    """
    # atan2, not arccos: arccos(1 - e) = sqrt(2 e) turns one rounding error into a distance of 1e-8.
    return jnp.arctan2(jnp.sqrt(_wedge2(x, y)), jnp.abs(jnp.vdot(x, y)))


def chordal_distance2(x: Complex[Array, " hom"], y: Complex[Array, " hom"]) -> Float[Array, ""]:
    r"""sin^2 of the geodesic distance, |x ^ y|^2 / |x|^2 |y|^2: smooth everywhere, the diagonal included."""
    return _wedge2(x, y) / (_norm2(x) * _norm2(y))


def chordal_embedding(z: Complex[Array, " hom"]) -> Float[Array, " embedding"]:
    r"""Real coordinates in which Euclidean distance is the chordal distance sin d of P^n.

    The projector z z^dagger / |z|^2, whose Frobenius distances are sqrt 2 sin d: its diagonal over sqrt 2,
    then the real and the imaginary parts above it, (n + 1)^2 numbers in all. Nearest neighbours in it are
    nearest neighbours on P^n.
    """
    rows, columns = np.triu_indices(z.shape[0], k=1)
    projector = z[:, None] * z[None, :].conj() / _norm2(z)
    above = projector[rows, columns]
    diagonal = jnp.diagonal(projector).real / jnp.sqrt(2.0)
    return jnp.concatenate([diagonal, above.real, above.imag])


def _norm2(z: Complex[Array, " hom"]) -> Float[Array, ""]:
    return jnp.sum(z.real**2 + z.imag**2)


def _wedge2(x: Complex[Array, " hom"], y: Complex[Array, " hom"]) -> Float[Array, ""]:
    rows, columns = np.triu_indices(x.shape[0], k=1)
    return jnp.sum(jnp.abs(x[rows] * y[columns] - x[columns] * y[rows]) ** 2)
