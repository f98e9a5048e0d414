"""The workloads in JAX, each compiled as a whole with `jit`."""

import jax
import jax.numpy as jnp

import workloads as data


def training(sizes, rate, loss):
    """A step: the loss of an MLP, its gradients, Adam."""
    model = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in data.layers(sizes)]
    zeros = jax.tree.map(jnp.zeros_like, model)
    state = model, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(())

    def forward(model, x):
        for layer, (weight, bias) in enumerate(model):
            x = (jax.nn.relu(x) if layer else x) @ weight.T + bias
        return x

    def step(model, first, second, t):
        value, gradient = jax.value_and_grad(lambda model: loss(lambda x: forward(model, x)))(model)
        t = t + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        scale, size = rate / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        update = lambda p, m, v: p - scale * m / (jnp.sqrt(v) * size + 1e-8)
        return value, (jax.tree.map(update, model, first, second), first, second, t)

    step = jax.jit(step, donate_argnums=(0, 1, 2, 3))

    def run():
        nonlocal state
        value, state = jax.block_until_ready(step(*state))
        return value, []

    return run, data.nothing


def gradients(leaves, loss, elements):
    """The loss and its gradients with respect to the leaves; `elements` picks what is compared."""
    leaves = [jnp.asarray(leaf) for leaf in leaves]

    compute = jax.jit(jax.value_and_grad(loss, argnums=tuple(range(len(leaves)))))
    run = lambda: jax.block_until_ready(compute(*leaves))
    return run, elements


def cross_entropy(logits, y):
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=-1)
    return -picked.mean()


def xor_mlp():
    x, y = jnp.asarray(data.XOR_INPUTS), jnp.asarray(data.XOR_TARGETS)

    def loss(model):
        logits = model(x)
        return (jax.nn.softplus(logits) - y * logits).mean()

    return training(data.XOR_SIZES, data.XOR_RATE, loss)


def mlp_mnist():
    x = jnp.asarray(data.uniform([data.MNIST_BATCH, data.MNIST_SIZES[0]], 1, 0.0, 1.0))
    y = jnp.asarray(data.labels(data.MNIST_BATCH, 2, data.MNIST_SIZES[-1]))
    return training(data.MNIST_SIZES, data.MNIST_RATE, lambda model: cross_entropy(model(x), y))


def elementwise_1m():
    x = data.uniform([data.ELEMENTS], 1, -2.0, 2.0)
    loss = lambda x: (jnp.tanh(data.A * x + data.B) * jax.nn.sigmoid(x) + jnp.exp(-x * x)).sum()
    return gradients([x], loss, lambda dx: (dx[3], dx[5], dx[7]))


def matmul_1024():
    a, b, w = (data.uniform([data.MATRIX] * 2, seed, 0.0, 1.0) for seed in (1, 2, 3))
    w = jnp.asarray(w)
    return gradients([a, b], lambda a, b: (a @ b * w).sum(), lambda da, db: (da[3, 5], db[5, 3], 0.0))


def softmax_ce_32k():
    logits = data.uniform([data.ITEMS, data.CLASSES], 1, -4.0, 4.0)
    y = jnp.asarray(data.labels(data.ITEMS, 2, data.CLASSES))
    label = int(y[0])
    pick = lambda dx: (dx[0, label], dx[3, 5], dx[7, 9])
    return gradients([logits], lambda logits: cross_entropy(logits, y), pick)


def layernorm():
    shape = [data.ROWS, data.FEATURES]
    x, w = data.uniform(shape, 1, -1.0, 1.0), jnp.asarray(data.uniform(shape, 2, 0.0, 1.0))
    gamma = data.uniform([data.FEATURES], 3, 0.5, 1.5)
    beta = data.uniform([data.FEATURES], 4, 0.0, 1.0)

    def loss(x, gamma, beta):
        centered = x - x.mean(-1, keepdims=True)
        variance = jnp.square(centered).mean(-1, keepdims=True)
        y = centered * jax.lax.rsqrt(variance + data.EPSILON) * gamma + beta
        return (y * w).sum()

    return gradients([x, gamma, beta], loss, lambda dx, dgamma, dbeta: (dx[3, 5], dgamma[5], dbeta[7]))


def small_ops():
    def loss(x):
        for _ in range(data.CHAIN):
            x = x * data.FACTOR
            x = x + data.SUMMAND
        return x.sum()

    return gradients([jnp.ones(8)], loss, lambda dx: (dx[0], dx[3], dx[7]))


WORKLOADS = [xor_mlp, mlp_mnist, elementwise_1m, matmul_1024, softmax_ce_32k, layernorm, small_ops]

if __name__ == "__main__":
    data.main({"jax": {setup.__name__: setup for setup in WORKLOADS}})
