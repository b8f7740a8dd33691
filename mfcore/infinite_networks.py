r"""Infinitely wide networks (paper section 2.2): their kernels, the flow with the frozen kernel, the
linearised network, and the finite networks that approach all three.

A network here has fully connected layers and several outputs, for the components of a metric. A flow
descends the loss (1/2) sum over train points and outputs of (output - target)^2: a sum, without a mean, as
the batch in (2.8). Kernels, initialisation and linearisation are those of neural-tangents, which is imported
inside functions only, so that this module imports without it. Unlike elsewhere in mfcore, functions take all
points at once, as that library does.
"""

import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mfcore._typing import Array, Float, PRNGKeyArray

Parameters = Any  # nested lists and tuples of arrays, as neural-tangents makes them
Apply = Callable[[Parameters, Array], Array]  # parameters, inputs (points, features) to (points, outputs)


class WideNetwork(NamedTuple):
    """An architecture: `initialise` draws parameters from a key, `apply` takes parameters and inputs.

    ``infinite_kernel`` is the kernel function of neural-tangents for the same layers at infinite width.
    """

    initialise: Callable[[PRNGKeyArray], Parameters]
    apply: Apply
    infinite_kernel: Callable[..., Any]


class Moments(NamedTuple):
    """Mean and covariance over initialisations; all outputs have the same covariance and are independent."""

    mean: Float[Array, "times points outputs"]
    covariance: Float[Array, "times points points2"]


def torus_embedding(x: Float[Array, " dim"]) -> Float[Array, " features"]:
    """(cos x_1, ..., cos x_d, sin x_1, ..., sin x_d): a function of it is a function on the torus T^d."""
    return jnp.concatenate([jnp.cos(x), jnp.sin(x)])


def dense_network(
    width: int,
    *,
    features: int = 4,
    outputs: int = 3,
    hidden_layers: int = 1,
    weight_std: float,
    bias_std: float,
    output_std: float,
) -> WideNetwork:
    r"""Fully connected layers with the error function between, in the NTK parameterisation.

    Each hidden layer is h = sigma_w W y / sqrt(n) + sigma_b b for n inputs y, the last one, without bias,
    sigma_o V erf(h) / sqrt(N), with all entries of W, b, V drawn from N(0, 1).
    """
    if width < 1 or hidden_layers < 1:
        raise ValueError(f"width {width}, {hidden_layers} hidden layers: give at least one of each")
    stax = _library().stax
    hidden = [stax.Dense(width, W_std=weight_std, b_std=bias_std), stax.Erf()] * hidden_layers
    draw, apply, kernel = stax.serial(*hidden, stax.Dense(outputs, W_std=output_std, b_std=None))
    return WideNetwork(lambda key: draw(key, (-1, features))[1], apply, kernel)


def infinite_kernels(
    network: WideNetwork, x: Float[Array, "points features"], y: Float[Array, "train features"]
) -> tuple[Float[Array, "points train"], Float[Array, "points train"]]:
    """NTK and NNGP kernel at infinite width: what multiplies the unit matrix in the outputs (paper 2.9).

    The second is the covariance of an output over initialisations.
    """
    kernels = network.infinite_kernel(x, y, ("ntk", "nngp"))
    return jnp.asarray(kernels.ntk), jnp.asarray(kernels.nngp)


def empirical_ntk(
    apply: Apply,
    parameters: Parameters,
    x: Float[Array, "points features"],
    y: Float[Array, "train features"],
) -> Float[Array, "points train outputs outputs2"]:
    """The NTK of one network at its parameters, with all pairs of outputs (paper 2.7)."""
    library = _library()
    kernel = library.empirical_ntk_fn(
        apply,
        trace_axes=(),
        vmap_axes=0,
        # Named, because the library's own choice fails on the jax we use.
        implementation=library.NtkImplementation.JACOBIAN_CONTRACTION,
    )
    return jnp.asarray(kernel(x, y, parameters))


def linearised(apply: Apply, parameters: Parameters) -> Apply:
    """The network expanded to first order in its parameters about these ones (paper 2.10)."""
    return _library().linearize(apply, parameters)


def gradient_flow(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "train features"],
    target: Float[Array, "train outputs"],
    times: Float[Array, " times"],
    tolerance: float = 1e-7,
) -> Parameters:
    """Parameters at these increasing times under d theta / dt = - d loss / d theta; a leading axis is time.

    The loss is (1/2) sum (output - target)^2. ``tolerance`` is that of a step, relative to the parameters.
    """

    flat, shaped = ravel_pytree(parameters)

    def loss(flat: Array) -> Array:
        return jnp.sum((apply(shaped(flat), inputs) - target) ** 2) / 2

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda _, flat, __: -jax.grad(loss)(flat)),
        diffrax.Tsit5(),
        0.0,
        times[-1],
        None,
        flat,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        adjoint=diffrax.DirectAdjoint(),
        max_steps=None,
    )
    return jax.vmap(shaped)(solution.ys)


def frozen_flow(
    kernel: Float[Array, "points train"],
    kernel_of_train: Float[Array, "train train"],
    start: Float[Array, "points columns"],
    start_of_train: Float[Array, "train columns"],
    target: Float[Array, "train columns"],
    times: Float[Array, " times"],
) -> Float[Array, "times points columns"]:
    r"""The flow (2.12) of the squared loss with a constant kernel, solved exactly.

    g(x, t) = g(x, 0) - Theta(x, X) Theta(X, X)^-1 (1 - e^(-Theta(X, X) t)) (g(X, 0) - target). The columns
    do not mix; a kernel that mixes outputs is flattened over points and outputs, with one column.
    """
    rates, modes = jnp.linalg.eigh(kernel_of_train)
    residual = modes.T @ (start_of_train - target)
    learned = jax.vmap(lambda t: _learned(rates, t)[:, None] * residual)(times)
    return start - kernel @ modes @ learned


def flow_of_moments(
    network: WideNetwork,
    points: Float[Array, "points features"],
    train: Float[Array, "train features"],
    target: Float[Array, "train outputs"],
    times: Float[Array, " times"],
) -> Moments:
    r"""Mean and covariance over initialisations of the infinitely wide network under (2.12), in closed form.

    With P = Theta(x, X) Theta^-1 (1 - e^(-Theta t)), all at the train points X, and the NNGP kernel K:
    mean P target; covariance K(x, x') - P K(X, x') - K(x, X) P'^T + P K(X, X) P'^T.
    """
    ntk, nngp = infinite_kernels(network, points, train)
    ntk_of_train, nngp_of_train = infinite_kernels(network, train, train)
    nngp_of_points = infinite_kernels(network, points, points)[1]
    rates, modes = jnp.linalg.eigh(ntk_of_train)

    def at(t: Array) -> Moments:
        weights = ntk @ (modes * _learned(rates, t)) @ modes.T
        cross = weights @ nngp.T
        covariance = nngp_of_points - cross - cross.T + weights @ nngp_of_train @ weights.T
        return Moments(weights @ target, covariance)

    return jax.vmap(at)(times)


def flow_of_moments_by_library(
    network: WideNetwork,
    points: Float[Array, "points features"],
    train: Float[Array, "train features"],
    target: Float[Array, "train outputs"],
    times: Float[Array, " times"],
) -> Moments:
    """The same from neural-tangents.

    Its loss is a mean over train points and outputs; a learning rate of their number makes it our sum.
    """
    predict = _library().predict.gradient_descent_mse_ensemble(
        network.infinite_kernel, train, target, learning_rate=target.size
    )
    found = predict(t=times, x_test=points, get="ntk", compute_cov=True)
    return Moments(jnp.asarray(found.mean), jnp.asarray(found.covariance))


def _learned(rates: Float[Array, " train"], t: Array | float) -> Float[Array, " train"]:
    # (1 - e^(-rate t)) / rate, which is t where the rate vanishes.
    positive = rates > 0
    return jnp.where(positive, -jnp.expm1(-rates * t) / jnp.where(positive, rates, 1), t)


def _library() -> Any:
    # Only its `experimental` part needs TensorFlow; an empty module of that name keeps it out.
    name = "neural_tangents.experimental"
    sys.modules.setdefault(name, types.ModuleType(name))
    import neural_tangents

    return neural_tangents
