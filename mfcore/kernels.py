r"""Fixed kernels Theta(x, x') delta_ik delta_jl of paper section 3.2: functions of the distance, and a ReLU
network's.

A kernel of the geodesic distance takes the distance, so that any geometry can be put in. Neither Gaussian nor
Laplace of the geodesic distance is positive semidefinite on P^n for wide bandwidths; then it is no network's
NTK, and a flow with it may raise its loss. The only module that imports neural_tangents, and only inside
`relu_ntk_by_library`.
"""

import sys
import types
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Complex, Float
from mfcore.projective import geodesic_distance

BLOCK = 4_000_000  # entries of a distance matrix computed at once; each needs about 500 bytes


def gaussian(distance: Float[Array, "..."], length: float) -> Float[Array, "..."]:
    """exp(-d^2 / (2 length^2))."""
    return jnp.exp(-(distance**2) / (2 * _positive(length) ** 2))


def laplace(distance: Float[Array, "..."], length: float) -> Float[Array, "..."]:
    """exp(-d / length)."""
    return jnp.exp(-distance / _positive(length))


def delta(distance: Float[Array, "points train"]) -> Float[Array, "points train"]:
    """1 at the nearest train point, 0 elsewhere: the paper's Delta kernel, which copies its correction.

    Of several train points equally near, the first is taken.
    """
    return jax.nn.one_hot(jnp.argmin(distance, axis=1), distance.shape[1], dtype=distance.dtype)


# What "Gaussian with sigma" may mean. (3.5) prints the first, calls sigma a variance, and finds that narrow
# ones win.
GAUSSIAN_READINGS: dict[str, Callable[[Float[Array, "..."], float], Float[Array, "..."]]] = {
    "exp(-d/(2 sigma)), as printed": lambda d, sigma: laplace(d, 2 * sigma),
    "exp(-d^2/(2 sigma))": lambda d, sigma: gaussian(d, sigma**0.5),
    "exp(-d^2/(2 sigma^2))": lambda d, sigma: gaussian(d, sigma),
    "exp(-sigma d)": lambda d, sigma: laplace(d, 1 / sigma),
    "exp(-(sigma d)^2)": lambda d, sigma: gaussian(d, 0.5**0.5 / sigma),
}


def distance_matrix(
    x: Complex[Array, "points hom"], y: Complex[Array, "train hom"]
) -> Float[Array, "points train"]:
    """Geodesic distances of all pairs, exact to rounding, in blocks of rows to hold little at once."""
    rows = max(1, min(len(x), BLOCK // (10 * len(y))))
    return _distance_matrix(x, y, rows)


@partial(jax.jit, static_argnums=2)
def _distance_matrix(x: Complex[Array, "points hom"], y: Complex[Array, "train hom"], rows: int) -> Array:
    return jax.lax.map(lambda a: jax.vmap(lambda b: geodesic_distance(a, b))(y), x, batch_size=rows)


def real_features(z: Complex[Array, " hom"]) -> Float[Array, " features"]:
    """The paper's network input: real parts, then imaginary parts, of the homogeneous coordinates (section
    3.1)."""
    return jnp.concatenate([z.real, z.imag])


def relu_ntk(
    x: Float[Array, " features"], y: Float[Array, " features"], sigma_w: float, sigma_b: float
) -> Float[Array, ""]:
    r"""NTK of an infinitely wide network with one hidden ReLU layer, in closed form (arc-cosine kernels).

    NTK parameterisation, weights N(0, sigma_w^2), biases N(0, sigma_b^2), both layers trained, as in
    neural-tangents. With Sigma = sigma_w^2 <x, y> / n + sigma_b^2 for n features, and theta the angle it
    makes between x and y, Theta = sigma_w^2 (sqrt(Sigma_xx Sigma_yy) (sin theta + (pi - theta) cos theta) +
    (pi - theta) Sigma) / 2 pi + sigma_b^2.
    """
    u = jnp.append(sigma_w * x / x.shape[0] ** 0.5, sigma_b)
    v = jnp.append(sigma_w * y / y.shape[0] ** 0.5, sigma_b)
    u_size, v_size = jnp.linalg.norm(u), jnp.linalg.norm(v)
    # Kahan's angle: at sigma_b = 80 every angle is small, and arccos would lose half the digits.
    angle = 2 * jnp.arctan2(
        jnp.linalg.norm(u * v_size - v * u_size), jnp.linalg.norm(u * v_size + v * u_size)
    )
    last_layer = u_size * v_size * (jnp.sin(angle) + (jnp.pi - angle) * jnp.cos(angle))
    first_layer = (jnp.pi - angle) * jnp.dot(u, v)
    return sigma_w**2 * (last_layer + first_layer) / (2 * jnp.pi) + sigma_b**2


@partial(jax.jit, static_argnames=("sigma_w", "sigma_b"))
def relu_ntk_matrix(
    x: Complex[Array, "points hom"], y: Complex[Array, "train hom"], sigma_w: float, sigma_b: float
) -> Float[Array, "points train"]:
    """`relu_ntk` of the `real_features` of all pairs of points."""
    of_pair = partial(relu_ntk, sigma_w=sigma_w, sigma_b=sigma_b)
    rows, columns = (jax.vmap(real_features)(z) for z in (x, y))
    return jax.vmap(lambda a: jax.vmap(lambda b: of_pair(a, b))(columns))(rows)


def relu_ntk_by_library(
    x: Float[Array, "points features"], y: Float[Array, "train features"], sigma_w: float, sigma_b: float
) -> Float[Array, "points train"]:
    """The same kernel from neural-tangents, for all pairs at once (paper section 3.2, "ReLU NTK")."""
    # Only its `experimental` part needs TensorFlow; an empty module of that name keeps it out.
    name = "neural_tangents.experimental"
    sys.modules.setdefault(name, types.ModuleType(name))
    from neural_tangents import stax

    layer = partial(stax.Dense, W_std=sigma_w, b_std=sigma_b)
    _, _, kernel_fn = stax.serial(layer(1), stax.Relu(), layer(1))
    return jnp.asarray(kernel_fn(x, y, "ntk"))


def _positive(length: float) -> float:
    if not length > 0:
        raise ValueError(f"length {length!r}: a kernel needs a positive one")
    return length
