r"""Networks whose tangent kernel is a Gaussian of x - x': the cosine net, its periodic form, and Gauss-net.

All have one hidden layer of fixed random features, phi(x) = A / sqrt(N) sum_i a_i f_i(x), of width N in
dimension d (paper section 2.3.2). The kernel of the last layer is A^2 times the mean of f_i(x) f_i(x').
With weights N(0, sigma_w^2 / d) it becomes, for large N, a Gaussian of width sqrt(d) / sigma_w (2.37).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Float, Int, PRNGKeyArray


class CosineNetwork(eqx.Module):
    r"""phi(x) = A / sqrt(N) sum_i a_i cos(sum_j w_ij x_j + b_i).

    Paper eq. (2.32), which prints the sum over j in front of the cosine: `printed_network` is that one.
    """

    a: Float[Array, " width"]
    w: Float[Array, "width dim"]
    b: Float[Array, " width"]
    amplitude: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return _last_layer(self, self.features(x))

    def features(self, x: Float[Array, " dim"]) -> Float[Array, " width"]:
        """f_i(x), what the weights a_i of the last layer multiply."""
        return jnp.cos(self.w @ x + self.b)


class PeriodicCosineNetwork(eqx.Module):
    r"""phi(x) = A / sqrt(N) sum_i a_i cos(k_i x + b_i) on the torus, with integer frequencies k_i.

    Integers and Python numbers have no gradient, so that ``eqx.is_inexact_array`` leaves a and b to be
    trained.
    """

    a: Float[Array, " width"]
    k: Int[Array, "width dim"]
    b: Float[Array, " width"]
    amplitude: Float[Array, "..."] | float

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return _last_layer(self, self.features(x))

    def features(self, x: Float[Array, " dim"]) -> Float[Array, " width"]:
        """f_i(x), what the weights a_i of the last layer multiply."""
        return jnp.cos(self.k @ x + self.b)


class GaussNetwork(eqx.Module):
    r"""phi(x) = A / sqrt(N) sum_i a_i exp(w_i x + b_i) / sqrt(exp(2 (sigma_b^2 + sigma_w^2 |x|^2 / d))).

    Gauss-net of Halverson, Maiti and Stoner (paper ref. [22]) with 1 / sqrt(N) in front and no last bias.
    """

    a: Float[Array, " width"]
    w: Float[Array, "width dim"]
    b: Float[Array, " width"]
    amplitude: float = eqx.field(static=True)
    sigma_w: float = eqx.field(static=True)
    sigma_b: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return _last_layer(self, self.features(x))

    def features(self, x: Float[Array, " dim"]) -> Float[Array, " width"]:
        """f_i(x), what the weights a_i of the last layer multiply."""
        # One exponential, not a ratio of two: each alone overflows where the ratio is moderate.
        norm = self.sigma_b**2 + self.sigma_w**2 * jnp.dot(x, x) / x.shape[0]
        return jnp.exp(self.w @ x + self.b - norm)


Network = CosineNetwork | PeriodicCosineNetwork | GaussNetwork


def cosine_network(
    key: PRNGKeyArray, dim: int, width: int, sigma_w: float, sigma_a: float = 1.0, amplitude: float = 1.0
) -> CosineNetwork:
    """a ~ N(0, sigma_a^2), w ~ N(0, sigma_w^2 / dim), b uniform on (-pi, pi), as in (2.32)."""
    _check(dim=dim, width=width, sigma_w=sigma_w)
    a, w, b = jax.random.split(key, 3)
    return CosineNetwork(
        a=sigma_a * jax.random.normal(a, (width,)),
        w=sigma_w / dim**0.5 * jax.random.normal(w, (width, dim)),
        b=jax.random.uniform(b, (width,), minval=-jnp.pi, maxval=jnp.pi),
        amplitude=amplitude,
    )


def periodic_cosine_network(
    key: PRNGKeyArray, dim: int, width: int, length: float, sigma_a: float = 1.0
) -> PeriodicCosineNetwork:
    r"""Frequencies p_k ~ exp(-length^2 |k|^2 / 2) on Z^dim, a ~ N(0, sigma_a^2), b uniform.

    A^2 = 2 sum_k exp(-length^2 |k|^2 / 2) / ((1 + sigma_a^2) (2 pi)^dim), so that the kernel of a and b
    (`periodic_ntk`) tends to `periodic_gaussian`. That of a alone (`last_layer_ntk`) tends to
    1 / (1 + sigma_a^2) of it.
    """
    _check(dim=dim, width=width, length=length)
    reach = math.ceil(9 / length)  # exp(-9^2 / 2) is below the rounding of the sum
    integers = np.arange(-reach, reach + 1)
    weights = np.exp(-((length * integers) ** 2) / 2)
    a, k, b = jax.random.split(key, 3)
    return PeriodicCosineNetwork(
        a=sigma_a * jax.random.normal(a, (width,)),
        k=jax.random.choice(k, integers, (width, dim), p=jnp.asarray(weights / weights.sum())),
        b=jax.random.uniform(b, (width,), minval=-jnp.pi, maxval=jnp.pi),
        amplitude=float(weights.sum() / (2 * np.pi)) ** (dim / 2) * (2 / (1 + sigma_a**2)) ** 0.5,
    )


def gauss_network(
    key: PRNGKeyArray,
    dim: int,
    width: int,
    sigma_w: float,
    sigma_b: float = 1.0,
    sigma_a: float = 1.0,
    amplitude: float = 1.0,
) -> GaussNetwork:
    """a ~ N(0, sigma_a^2), w ~ N(0, sigma_w^2 / dim), b ~ N(0, sigma_b^2)."""
    _check(dim=dim, width=width, sigma_w=sigma_w)
    a, w, b = jax.random.split(key, 3)
    return GaussNetwork(
        a=sigma_a * jax.random.normal(a, (width,)),
        w=sigma_w / dim**0.5 * jax.random.normal(w, (width, dim)),
        b=sigma_b * jax.random.normal(b, (width,)),
        amplitude=amplitude,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
    )


def last_layer_ntk(network: Network, x: Float[Array, " dim"], y: Float[Array, " dim"]) -> Float[Array, ""]:
    """sum_i d phi(x)/d a_i d phi(y)/d a_i = A^2 / N sum_i f_i(x) f_i(y): (2.33), with its sum inside."""
    return network.amplitude**2 * jnp.mean(network.features(x) * network.features(y))


def periodic_ntk(
    network: PeriodicCosineNetwork, x: Float[Array, " dim"], y: Float[Array, " dim"]
) -> Float[Array, ""]:
    """The kernel when a and b are trained: A^2 / N sum_i (cos cos + a_i^2 sin sin). It moves as a does."""
    u, v = network.k @ x + network.b, network.k @ y + network.b
    terms = jnp.cos(u) * jnp.cos(v) + network.a**2 * jnp.sin(u) * jnp.sin(v)
    return network.amplitude**2 * jnp.mean(terms)


def gaussian_ntk(
    x: Float[Array, " dim"], y: Float[Array, " dim"], sigma_w: float, amplitude: float
) -> Float[Array, ""]:
    """A^2 / 2 exp(-sigma_w^2 |x - y|^2 / (2 dim)): the cosine net's kernel at infinite width (2.35)."""
    return amplitude**2 / 2 * jnp.exp(-(sigma_w**2) * jnp.sum((x - y) ** 2) / (2 * x.shape[0]))


def gauss_network_ntk(
    x: Float[Array, " dim"], y: Float[Array, " dim"], sigma_w: float, amplitude: float
) -> Float[Array, ""]:
    """A^2 exp(-sigma_w^2 |x - y|^2 / (2 dim)): Gauss-net's last-layer kernel at infinite width."""
    return 2 * gaussian_ntk(x, y, sigma_w, amplitude)


def normalising_amplitude(dim: int, sigma_w: float) -> float:
    """The A that makes `gaussian_ntk` integrate to 1: A^2 = 2 (sigma_w / sqrt(2 pi dim))^dim.

    Paper eq. (2.36) prints the square root of this A: `printed_amplitude`. Gauss-net wants A / sqrt(2).
    """
    _check(dim=dim, sigma_w=sigma_w)
    return (2 * (sigma_w / (2 * math.pi * dim) ** 0.5) ** dim) ** 0.5


def printed_amplitude(dim: int, sigma_w: float) -> float:
    """A = 2^(1/4) (sigma_w / sqrt(2 pi dim))^(dim / 4), paper eq. (2.36) as printed."""
    return normalising_amplitude(dim, sigma_w) ** 0.5


def periodic_gaussian(x: Float[Array, " dim"], y: Float[Array, " dim"], length: float) -> Float[Array, ""]:
    r"""The Gaussian of standard deviation `length` wrapped around the torus of period 2 pi, with integral 1.

    (2 pi)^-dim sum_k exp(-length^2 |k|^2 / 2) cos(k (x - y)), a product over the axes: its Fourier multiplier
    is exp(-length^2 |k|^2 / 2). Accurate relative to its own value, at every length.
    """
    _check(length=length)
    return jnp.prod(jax.vmap(lambda u: _wrapped(u, length))(x - y))


def printed_network(network: CosineNetwork, x: Float[Array, " dim"]) -> Float[Array, ""]:
    """Eq. (2.32) as printed: A / sqrt(N) sum_i sum_j a_i cos(w_ij x_j + b_i), a sum over the axes."""
    return _last_layer(network, jnp.sum(_printed_features(network, x), axis=1))


def printed_network_ntk(
    network: CosineNetwork, x: Float[Array, " dim"], y: Float[Array, " dim"]
) -> Float[Array, ""]:
    """Last-layer kernel of `printed_network`: A^2/N sum_i sum_jl cos(w_ij x_j + b_i) cos(w_il y_l + b_i)."""
    f, h = (jnp.sum(_printed_features(network, z), axis=1) for z in (x, y))
    return network.amplitude**2 * jnp.mean(f * h)


def printed_ntk(network: CosineNetwork, x: Float[Array, " dim"], y: Float[Array, " dim"]) -> Float[Array, ""]:
    """Eq. (2.33) as printed: of the double sum of `printed_network_ntk` only the terms j = l."""
    terms = _printed_features(network, x) * _printed_features(network, y)
    return network.amplitude**2 * jnp.mean(jnp.sum(terms, axis=1))


def printed_network_ntk_limit(
    x: Float[Array, " dim"], y: Float[Array, " dim"], sigma_w: float, amplitude: float
) -> Float[Array, ""]:
    r"""`printed_network_ntk` at infinite width; with s^2 = sigma_w^2 / dim it is A^2 / 2 times

    sum_j exp(-s^2 (x_j - y_j)^2 / 2) + sum_{j != l} exp(-s^2 (x_j^2 + y_l^2) / 2),
    no Gaussian of |x - y|, and not even a function of x - y, when dim > 1.
    """
    s2 = sigma_w**2 / x.shape[0]
    u, v = jnp.exp(-s2 * x**2 / 2), jnp.exp(-s2 * y**2 / 2)
    mixed = jnp.sum(u) * jnp.sum(v) - jnp.sum(u * v)
    return printed_ntk_limit(x, y, sigma_w, amplitude) + amplitude**2 / 2 * mixed


def printed_ntk_limit(
    x: Float[Array, " dim"], y: Float[Array, " dim"], sigma_w: float, amplitude: float
) -> Float[Array, ""]:
    """`printed_ntk` at infinite width: A^2 / 2 sum_j exp(-sigma_w^2 (x_j - y_j)^2 / (2 dim))."""
    return amplitude**2 / 2 * jnp.sum(jnp.exp(-(sigma_w**2) * (x - y) ** 2 / (2 * x.shape[0])))


def _last_layer(network: Network, features: Float[Array, " width"]) -> Float[Array, ""]:
    return network.amplitude / network.a.shape[0] ** 0.5 * jnp.dot(network.a, features)


def _printed_features(network: CosineNetwork, x: Float[Array, " dim"]) -> Float[Array, "width dim"]:
    return jnp.cos(network.w * x + network.b[:, None])


def _wrapped(u: Float[Array, ""], length: float) -> Float[Array, ""]:
    n = jnp.arange(-4, 5)
    # Below length sqrt(2 pi) the sum over images converges faster, above it the Fourier sum: five terms
    # away, either is under 1e-27 of the first. Only the images keep small values accurate.
    if length**2 < 2 * math.pi:
        nearest = u - 2 * jnp.pi * jnp.round(u / (2 * jnp.pi))
        images = jnp.exp(-((nearest + 2 * jnp.pi * n) ** 2) / (2 * length**2))
        return jnp.sum(images) / ((2 * jnp.pi) ** 0.5 * length)
    return jnp.sum(jnp.exp(-((length * n) ** 2) / 2) * jnp.cos(n * u)) / (2 * jnp.pi)


def _check(**sizes: float | int) -> None:
    for name, size in sizes.items():
        if not size > 0:
            raise ValueError(f"{name} {size!r}: a network and its kernel need a positive one.")
