r"""The space of metrics at a point: positive definite matrices with the trace metric.

tr(g^-1 h g^-1 h) is the length of a change h of the metric g that does not depend on coordinates; Perelman's
gradient is taken in it (paper section 2.4). Real symmetric and complex Hermitian matrices alike.
"""

import jax.numpy as jnp

from mfcore._typing import Array, Float, Shaped


def trace_norm2(g: Shaped[Array, "dim dim"], h: Shaped[Array, "dim dim"]) -> Float[Array, ""]:
    """tr(g^-1 h g^-1 h), the squared length of the change h of g."""
    mixed = jnp.linalg.solve(g, h)
    return jnp.einsum("ij,ji->", mixed, mixed).real


def affine_invariant_distance(g: Shaped[Array, "dim dim"], h: Shaped[Array, "dim dim"]) -> Float[Array, ""]:
    """Geodesic distance of two metrics at a point: sqrt(sum log^2 lambda), lambda the eigenvalues of g^-1 h.

    The same in all coordinates; 0.1 means that lengths differ by up to 5 percent. NaN if one of the two is
    not positive definite.
    """
    root = jnp.linalg.cholesky(g)
    half = jnp.linalg.solve(root, h)
    ratio = jnp.linalg.solve(root, half.conj().T)
    eigenvalues = jnp.linalg.eigvalsh((ratio + ratio.conj().T) / 2)
    return jnp.linalg.norm(jnp.log(eigenvalues))
