r"""The empirical metric-NTK of networks on a hypersurface, all dim^2 real components of the metric at once.

Components are the numbers of which `kaehler_networks.hermitian` makes a matrix: the diagonal, then the real,
then the imaginary parts above it. Which matrix the points decide:

- `FramePoints`, for a `PotentialMetric`: alpha d dbar phi in the frame at the point, orthonormal for g_FS;
- `ChartPoints`, for a `ComponentMetric`: g_ab in the coordinates of the point's chart. Where ``background``
  is `without_background`, this is 1 + alpha N, and the kernel that of the network's own outputs, times
  alpha^2.

A matrix has a row for each (point, component), the point outer. Theta = J(x) J(y)^T with the derivatives J by
the parameters as the network keeps them (paper 2.7), in the precision of network and points.
"""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mfcore._typing import Array, Complex, Float
from mfcore.kaehler_networks import ComponentMetric, PotentialMetric, hermitian
from mfcore.networks import MLP
from mfcore.training import ChartPoints, FramePoints, Points, taken

Metric = ComponentMetric | PotentialMetric

HELD = 2**26  # numbers of a Jacobian held at a time: half a gigabyte in double precision


def components(model: Metric, points: Points) -> Float[Array, "points components"]:
    """The real components of the metric (or of what is added to it, see above) at the points."""
    return jax.vmap(lambda point: _components(model, point))(points)


def entries(matrix: Complex[Array, "dim dim"]) -> Float[Array, " components"]:
    """The numbers of which `hermitian` makes this matrix."""
    rows, columns = np.triu_indices(matrix.shape[0], k=1)
    above = matrix[rows, columns]
    return jnp.concatenate([jnp.diagonal(matrix).real, above.real, above.imag])


def without_background(points: ChartPoints) -> ChartPoints:
    """The points with 1 for every component of g_FS, so that a component model is 1 + alpha N there.

    For kernels only: eta of a metric at these points means nothing.
    """
    return points._replace(background=jnp.ones_like(points.background))


@eqx.filter_jit
def component_jacobian(model: Metric, points: Points) -> Float[Array, "points components params"]:
    """The derivatives of the components by the parameters, these in the order of `ravel_pytree`."""
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)

    def of_point(point: Points) -> Array:
        return jax.jacrev(lambda theta: _components(eqx.combine(unravel(theta), fixed), point))(theta)

    return jax.vmap(of_point)(points)


def gram(model: Metric, xs: Points, ys: Points) -> Float[Array, "rows columns"]:
    """Theta(x, y) of all pairs of the two sets: dim^2 rows for each x, dim^2 columns for each y.

    Of a component model from what enters and leaves its layers, without the Jacobian; of a potential model
    from Jacobians of some points at a time.
    """
    if isinstance(model, ComponentMetric) and isinstance(xs, ChartPoints) and isinstance(ys, ChartPoints):
        return _gram_by_layers(model, xs, ys)
    blocks = []
    for x in _blocks(model, xs):
        at_x = _rows(model, x)
        blocks.append(jnp.concatenate([at_x @ _rows(model, y).T for y in _blocks(model, ys)], axis=1))
    return jnp.concatenate(blocks)


@eqx.filter_jit
def product(model: Metric, xs: Points, ys: Points, v: Float[Array, " columns"]) -> Float[Array, " rows"]:
    """Theta(x, y) v: one pull-back of v to the parameters, one push-forward of these; no entry is formed."""
    trained, fixed = eqx.partition(model, eqx.is_inexact_array)

    def on(points: Points) -> Callable[[Any], Array]:
        return lambda trained: components(eqx.combine(trained, fixed), points).ravel()

    (change,) = jax.vjp(on(ys), trained)[1](v)
    return jax.jvp(on(xs), (trained,), (change,))[1]


@eqx.filter_jit
def _gram_by_layers(model: ComponentMetric, xs: ChartPoints, ys: ChartPoints) -> Array:
    """sum_l (D_l(x) . D_l(y)) (c^2 a_l(x) . a_l(y) + s^2).

    a_l enters layer l, D_l are the derivatives by what leaves it; c and s are the factors of the
    parameterisation before weights and biases.
    """
    net = model.components
    layers_x, layers_y = (jax.vmap(lambda p: _layers(model, p))(points) for points in (xs, ys))
    total: Any = 0.0
    for number, ((a_x, d_x), (a_y, d_y)) in enumerate(zip(layers_x, layers_y, strict=True)):
        w, b = net.applied(number, jnp.ones((1, a_x.shape[1]), a_x.dtype), jnp.ones(1, a_x.dtype))
        inner = w[0, 0] ** 2 * (a_x @ a_y.T) + b[0] ** 2
        total = total + jnp.einsum("xkm,yjm->xkyj", d_x, d_y) * inner[:, None, :, None]
    return total.reshape(total.shape[0] * total.shape[1], -1)


def _layers(model: ComponentMetric, point: ChartPoints) -> list[tuple[Array, Array]]:
    """For each layer what enters it, and the derivatives of the components by what leaves it."""
    net = model.components
    entering, slopes, h = [point.inputs], [], point.inputs
    for number in range(len(net.weights) - 1):
        w, b = net.layer(number)
        h = w @ entering[-1] + b
        h, slope = jax.jvp(net.activation, (h,), (jnp.ones_like(h),))
        entering.append(h)
        slopes.append(slope)
    leaving = [_by_outputs(model, point, net)]
    for number in range(len(slopes), 0, -1):
        w, _ = net.layer(number)
        leaving.append((leaving[-1] @ w) * slopes[number - 1])
    return list(zip(entering, reversed(leaving), strict=True))


def _by_outputs(model: ComponentMetric, point: ChartPoints, net: MLP) -> Array:
    """The linear map from the outputs to the components, which the background decides."""
    outputs = jnp.eye(len(net.biases[-1]), dtype=point.inputs.dtype)
    changes = jax.vmap(lambda n: entries(point.background * (model.alpha * hermitian(n))))(outputs)
    return changes.T


def _components(model: Metric, point: Points) -> Array:
    if isinstance(model, PotentialMetric) and isinstance(point, FramePoints):
        return model.entries(point.jet)
    if isinstance(model, ComponentMetric) and isinstance(point, ChartPoints):
        return entries(model.from_inputs(point.inputs, point.background))
    raise ValueError(
        f"{type(point).__name__} for a {type(model).__name__}: training.frame_points makes those of a "
        "PotentialMetric, training.chart_points those of a ComponentMetric"
    )


def _rows(model: Metric, points: Points) -> Array:
    jacobian = component_jacobian(model, points)
    return jacobian.reshape(-1, jacobian.shape[-1])


def _blocks(model: Metric, points: Points) -> Iterator[Points]:
    params = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    channels = points.jet.shape[1] if isinstance(points, FramePoints) else 1
    size = max(1, HELD // (channels * params))  # at least as many channels as components
    return (taken(points, slice(at, at + size)) for at in range(0, len(points.weight), size))
