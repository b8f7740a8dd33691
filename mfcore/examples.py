"""The metrics and functions on tori that several chapters of section 2.4 start from."""

import jax.numpy as jnp

from mfcore._typing import Array, Float


def lopsided_metric(x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
    """A metric on T^2 or T^3 without symmetry, with eigenvalues between 0.5 and 1.5."""
    diagonal = 1 + 0.1 * jnp.sin(jnp.roll(x, 1) - x + 0.3) + 0.1 * jnp.cos(x)
    across = 0.1 * jnp.sin(x[0] + x[-1]) + 0.05 * jnp.cos(x[0])
    return jnp.diag(diagonal) + across * (1 - jnp.eye(len(x)))


def lopsided_weight(x: Float[Array, " dim"]) -> Float[Array, ""]:
    """A positive function, e^-phi at the end of Perelman's flow."""
    return jnp.exp(-0.2 * jnp.cos(x[0] - x[1]) + 0.1 * jnp.sin(x[-1]))
