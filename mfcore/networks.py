r"""Neural networks whose value at a point is a metric: on tori, and on the 2-sphere in charts.

Conventions: real symmetric matrices are filled row by row from their upper triangle, one number for g_ij and
g_ji. A background metric plus `scale` times a network: positive definite while the network is small, which
nothing enforces. A parameter is every floating-point array of a module; all else is static. Paper sections
2.1, 2.3 (2.19), appendix A.
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Float, PRNGKeyArray

PARAMETERISATIONS = ("ntk", "standard", "mup")


class MLP(eqx.Module):
    r"""Perceptron of any depth: layers W a + b of n inputs, with an activation between them (appendix A).

    All draws are standard normal. Parameterisation "ntk" applies (sigma_w / sqrt n) W and sigma_b b at every
    call, "standard" once, at the draw. From one key both are the same function; their gradients, and so their
    kernels, differ. "mup" is "ntk" with sigma_w / n in the last layer: without biases (sigma_b = 0) a
    function, and a kernel, that vanish with the width n. Descent at a rate that grows as n then moves the
    features by as much at any width (Yang and Hu 2021); a bias of the output would diverge at such a rate.
    """

    weights: list[Array]
    biases: list[Array]
    activation: Callable = eqx.field(static=True)
    parameterisation: str = eqx.field(static=True)
    sigma_w: float = eqx.field(static=True)
    sigma_b: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        sizes: Sequence[int],
        *,
        activation: Callable = jnp.tanh,
        parameterisation: str = "ntk",
        sigma_w: float = 1.5,
        sigma_b: float = 0.5,
    ):
        """``sizes``: numbers of inputs, of hidden nodes of each layer, of outputs."""
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes {tuple(sizes)}: need inputs and outputs, each layer 1 node or more.")
        if parameterisation not in PARAMETERISATIONS:
            raise ValueError(f"parameterisation {parameterisation!r}; use one of {PARAMETERISATIONS}.")
        self.activation, self.parameterisation = activation, parameterisation
        self.sigma_w, self.sigma_b = sigma_w, sigma_b
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        # One draw, cut into layers: compiles faster than one for each array.
        draw = jax.random.normal(key, (sum(m * (n + 1) for m, n in shapes),))
        self.weights, self.biases = [], []
        for m, n in shapes:
            w, b, draw = jnp.split(draw, (m * n, m * n + m))
            w, b = self._applied(w.reshape(m, n), b, drawn=True)
            self.weights.append(w)
            self.biases.append(b)

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        for layer in range(len(self.weights)):
            w, b = self.layer(layer)
            x = w @ (self.activation(x) if layer else x) + b
        return x

    def layer(self, number: int) -> tuple[Float[Array, "m n"], Float[Array, " m"]]:
        """Weights and biases of a layer as they act, the factors of the parameterisation included."""
        return self.applied(number, self.weights[number], self.biases[number])

    def applied(
        self, number: int, w: Float[Array, "m n"], b: Float[Array, " m"]
    ) -> tuple[Float[Array, "m n"], Float[Array, " m"]]:
        """What the parameterisation makes of weights and biases in this layer: a linear map of both."""
        w, b = self._applied(w, b, drawn=False)
        last = number == len(self.weights) - 1
        return (w / w.shape[1] ** 0.5 if last and self.parameterisation == "mup" else w), b

    def _applied(self, w: Float[Array, "m n"], b: Float[Array, " m"], *, drawn: bool) -> tuple[Array, Array]:
        # "standard" scales at the draw, the others at each call.
        if drawn != (self.parameterisation == "standard"):
            return w, b
        return self.sigma_w / w.shape[1] ** 0.5 * w, self.sigma_b * b


class IndependentNets(eqx.Module):
    """One perceptron for each output, alike but with parameters of its own (paper 2.19)."""

    nets: MLP  # every array has a first axis, which counts the networks

    def __init__(self, key: PRNGKeyArray, sizes: Sequence[int], **options):
        """``sizes`` and options as for `MLP`; the last size counts the networks."""
        keys = jax.random.split(key, sizes[-1])
        self.nets = eqx.filter_vmap(lambda key: MLP(key, (*sizes[:-1], 1), **options))(keys)

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        return eqx.filter_vmap(lambda net: net(x)[0])(self.nets)


def symmetric_matrix(entries: Float[Array, " entries"], dim: int) -> Float[Array, "dim dim"]:
    """The symmetric matrix with these dim (dim + 1) / 2 numbers in its upper triangle, row by row."""
    number = np.zeros((dim, dim), int)
    number[np.triu_indices(dim)] = np.arange(dim * (dim + 1) // 2)
    if len(entries) != dim * (dim + 1) // 2:
        raise ValueError(
            f"{len(entries)} entries for a symmetric matrix of size {dim}; give {number.max() + 1}."
        )
    return entries[np.maximum(number, number.T)]


def euclidean(x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
    """The flat metric delta_ij."""
    return jnp.eye(len(x), dtype=x.dtype)


class TorusMetric(eqx.Module):
    """A metric on the torus with coordinates in [0, 2 pi)^dim.

    g(x) = background(x) + scale * S(net(cos x, sin x)), S being `symmetric_matrix`. Smooth and periodic.
    """

    components: MLP | IndependentNets
    background: Callable = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        dim: int,
        hidden: Sequence[int],
        *,
        components: Callable = MLP,
        background: Callable = euclidean,
        scale: float = 0.1,
        **options,
    ):
        """``hidden`` sizes; ``components`` `MLP` (one shared network) or `IndependentNets`, its options."""
        self.components = components(key, (2 * dim, *hidden, dim * (dim + 1) // 2), **options)
        self.background, self.scale = background, scale

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        entries = self.components(jnp.concatenate([jnp.cos(x), jnp.sin(x)]))
        return self.background(x) + self.scale * symmetric_matrix(entries, len(x))


def stereographic(x: Float[Array, "2"], pole: Float[Array, ""] | float) -> Float[Array, "3"]:
    """The point of the unit sphere with chart coordinates x: X = (2 x, pole (1 - |x|^2)) / (1 + |x|^2).

    ``pole`` is 1 for the chart around the north pole, -1 for that around the south pole; x = 0 is the pole.
    """
    r2 = jnp.sum(x**2)
    return jnp.append(2 * x, pole * (1 - r2)) / (1 + r2)


def other_chart(x: Float[Array, "2"]) -> Float[Array, "2"]:
    """Coordinates of the same point in the chart around the other pole: x / |x|^2. No pole may be given."""
    return x / jnp.sum(x**2)


class SphereMetric(eqx.Module):
    """A metric on the unit 2-sphere: the restriction of h(X) = 1 + scale * S(net(X)), X in R^3.

    In a chart g = J^T h J, J = dX/dx. That is one tensor field, whatever the chart; the round metric plus a
    small network.
    """

    components: MLP | IndependentNets
    scale: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        hidden: Sequence[int],
        *,
        components: Callable = MLP,
        scale: float = 0.1,
        **options,
    ):
        """Arguments as for `TorusMetric`."""
        self.components = components(key, (3, *hidden, 6), **options)
        self.scale = scale

    def __call__(self, x: Float[Array, "2"], pole: Float[Array, ""] | float = 1.0) -> Float[Array, "2 2"]:
        """The metric at chart coordinates x, `stereographic` around ``pole``."""
        jacobian = jax.jacfwd(stereographic)(x, pole)
        return jacobian.T @ self.ambient(stereographic(x, pole)) @ jacobian

    def ambient(self, point: Float[Array, "3"]) -> Float[Array, "3 3"]:
        """h(X), of which only the part along the sphere matters."""
        return euclidean(point) + self.scale * symmetric_matrix(self.components(point), 3)
