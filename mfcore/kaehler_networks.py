r"""Networks that are metrics on a hypersurface: a Kaehler potential, or the components of a metric.

Inputs are the N^2 real numbers in z_i conj(z_j) / |z|^2, which do not see the scaling of z. Potential model:
g = g_FS + alpha d dbar phi, Kaehler and in the class of g_FS whatever the parameters. Component model: g_ab =
g_FS,ab (1 + alpha N_ab) with N Hermitian, in the coordinates of the point's chart: neither Kaehler nor one
tensor over several charts (paper section 3.1, after its references [13, 14]).

The potential's derivatives are carried forward with it, as a jet: (dim + 1)^2 real numbers a feature, which
are h; the real, then imaginary parts of dh/dx^a; d^2 h / dx^a dxbar^a; and the real, then imaginary parts of
d^2 h / dx^a dxbar^b for a < b. In the layers each of these channels is an array of its own: put together in
one array, XLA spends more time on copies than on the products.
"""

import itertools
from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float
from mfcore.networks import MLP
from mfcore.projective import fubini_study_metric, pullback

Jet: TypeAlias = tuple[Array, ...]  # its channels, each an array over features or nodes


def smooth_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """GELU, x times the normal distribution function of x."""
    return jax.nn.gelu(x, approximate=False)


def invariants(z: Complex[Array, " hom"]) -> Float[Array, " features"]:
    """The N^2 inputs: |z_i|^2 / |z|^2, then real, then imaginary parts of z_i conj(z_j) / |z|^2 for i < j."""
    return _real_parts(z[:, None] * z.conj() / jnp.vdot(z, z).real)


def invariants_jet(
    z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
) -> Float[Array, "channels features"]:
    """`invariants` with their derivatives by the local coordinates x, ``jacobian[a, i]`` = dz^i/dx^a."""
    n = jnp.vdot(z, z).real
    product = z[:, None] * z.conj() / n
    # Logarithmic derivatives of |z|^2, and z_i conj(z_j) differentiated by x^a, by xbar^b, and by both.
    slope = jacobian @ z.conj() / n
    bend = jacobian @ jacobian.conj().T / n - 2 * slope[:, None] * slope.conj()
    by_x = jacobian[:, :, None] * z.conj() / n
    by_xbar = z[:, None] * jacobian.conj()[:, None, :] / n
    by_both = jacobian[:, None, :, None] * jacobian.conj()[None, :, None, :] / n
    first = by_x - slope[:, None, None] * product
    second = (
        by_both
        - by_x[:, None] * slope.conj()[None, :, None, None]
        - by_xbar[None, :] * slope[:, None, None, None]
        - bend[:, :, None, None] * product
    )
    return _packed(_real_parts(product), _real_parts_of(first), _real_parts_of(second))


class PotentialMetric(eqx.Module):
    """g = g_FS + alpha d dbar phi, phi a perceptron of the `invariants`."""

    phi: MLP
    alpha: float = eqx.field(static=True)

    def __call__(
        self, z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
    ) -> Complex[Array, "dim dim"]:
        """The metric g_{a bbar} in the local coordinates that belong to the Jacobian."""
        return self.from_jet(invariants_jet(z, jacobian), pullback(jacobian, fubini_study_metric(z)))

    def from_jet(
        self, jet: Float[Array, "channels features"], background: Complex[Array, "dim dim"]
    ) -> Complex[Array, "dim dim"]:
        """The same from `invariants_jet` and the pulled-back Fubini-Study metric."""
        return background + hermitian(self.entries(jet))

    def entries(self, jet: Float[Array, "channels features"]) -> Float[Array, " entries"]:
        """alpha d dbar phi, as the numbers of which `hermitian` makes a matrix."""
        return self.mixed(carried(self.phi, tuple(jet)))

    def mixed(self, channels: Jet) -> Float[Array, " entries"]:
        """alpha d dbar phi, of the channels of phi."""
        return self.alpha * jnp.concatenate(channels[2 * _dim(len(channels)) + 1 :])


class ComponentMetric(eqx.Module):
    """g_ab = g_FS,ab (1 + alpha N_ab): a perceptron of the `invariants` with dim^2 outputs."""

    components: MLP
    alpha: float = eqx.field(static=True)

    def __call__(
        self, z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
    ) -> Complex[Array, "dim dim"]:
        return self.from_inputs(invariants(z), pullback(jacobian, fubini_study_metric(z)))

    def from_inputs(
        self, inputs: Float[Array, " features"], background: Complex[Array, "dim dim"]
    ) -> Complex[Array, "dim dim"]:
        """The same from `invariants` and the pulled-back Fubini-Study metric."""
        return background * (1 + self.alpha * hermitian(self.components(inputs)))


def carried(net: MLP, jet: Jet) -> Jet:
    """The perceptron's outputs with their derivatives, from the inputs with theirs, channel by channel.

    An activation with a kink, such as ReLU, loses what its second derivative has at the kink: the result is
    then the mixed derivative almost everywhere, but not that of any potential on the whole.
    """
    for layer in range(len(net.weights)):
        if layer:
            jet = activated(net.activation, jet)
        jet = linear(net, layer, jet)
    return jet


def linear(net: MLP, layer: int, jet: Jet) -> Jet:
    """W h + b with its derivatives."""
    w, b = net.layer(layer)
    value, *derivatives = (channel @ w.T for channel in jet)
    return (value + b, *derivatives)


def activated(activation: Callable, jet: Jet) -> Jet:
    """s(h) with its derivatives: ds = s' dh, and d dbar s = s' d dbar h + s'' dh dbar h."""
    dim = _dim(len(jet))
    h = jet[0]

    def slope(x: Array) -> Array:
        return jax.jvp(activation, (x,), (jnp.ones_like(x),))[1]

    value, first = jax.jvp(activation, (h,), (jnp.ones_like(h),))
    second = jax.jvp(slope, (h,), (jnp.ones_like(h),))[1]
    real, imag, mixed = jet[1 : 1 + dim], jet[1 + dim : 1 + 2 * dim], jet[1 + 2 * dim :]
    pairs = list(itertools.combinations(range(dim), 2))
    products = [x**2 + y**2 for x, y in zip(real, imag, strict=True)]
    products += [real[a] * real[b] + imag[a] * imag[b] for a, b in pairs]
    products += [imag[a] * real[b] - real[a] * imag[b] for a, b in pairs]
    bent = (first * m + second * p for m, p in zip(mixed, products, strict=True))
    return (value, *(first * x for x in (*real, *imag)), *bent)


def hermitian(entries: Float[Array, " entries"]) -> Complex[Array, "dim dim"]:
    """The Hermitian matrix with this diagonal, then these real, then these imaginary parts above it."""
    dim = round(entries.shape[0] ** 0.5)
    above = dim * (dim - 1) // 2
    real, imag = entries[dim : dim + above], entries[dim + above :]
    upper = (
        jnp.zeros((dim, dim), jnp.result_type(entries, 1j))
        .at[np.triu_indices(dim, k=1)]
        .set(jax.lax.complex(real, imag))
    )
    return upper + upper.conj().T + jnp.diag(entries[:dim])


def determinant(entries: Float[Array, " entries"]) -> Float[Array, ""]:
    """det of the matrix that `hermitian` makes of these numbers; up to 3 by 3 without complex numbers."""
    dim = round(entries.shape[0] ** 0.5)
    if dim == 1:
        return entries[0]
    if dim == 2:
        a, b, x, y = entries
        return a * b - x**2 - y**2
    if dim == 3:
        a, b, c, x, y, z, u, v, w = entries  # g_01 = x + iu, g_02 = y + iv, g_12 = z + iw
        cycle = (x * z - u * w) * y + (x * w + u * z) * v
        return a * b * c + 2 * cycle - a * (z**2 + w**2) - b * (y**2 + v**2) - c * (x**2 + u**2)
    return jnp.linalg.det(hermitian(entries)).real


def _dim(channels: int) -> int:
    return round(channels**0.5) - 1


def _real_parts(u: Complex[Array, "hom hom"]) -> Float[Array, " features"]:
    rows, columns = np.triu_indices(u.shape[0], k=1)
    return jnp.concatenate([jnp.diagonal(u).real, u[rows, columns].real, u[rows, columns].imag])


def _real_parts_of(u: Complex[Array, "*derivative hom hom"]) -> Complex[Array, "*derivative features"]:
    # Derivatives of the real and imaginary parts of u_ij, whose conjugate is u_ji.
    rows, columns = np.triu_indices(u.shape[-1], k=1)
    above, below = u[..., rows, columns], u[..., columns, rows]
    diagonal = jnp.diagonal(u, axis1=-2, axis2=-1)
    return jnp.concatenate([diagonal, (above + below) / 2, (above - below) / 2j], axis=-1)


def _packed(
    value: Float[Array, " features"],
    first: Complex[Array, "dim features"],
    second: Complex[Array, "dim dim features"],
) -> Float[Array, "channels features"]:
    dim = first.shape[0]
    a, b = np.triu_indices(dim, k=1)
    diagonal = second[np.arange(dim), np.arange(dim)].real
    above = second[a, b]
    return jnp.concatenate([value[None], first.real, first.imag, diagonal, above.real, above.imag])
