"""The workloads in PyTorch: `pytorch` is eager, `torch.compile` compiles the loss with its gradient."""

import torch
import torch.nn.functional as F

import workloads as data

torch.set_num_threads(data.threads())
tensor = torch.from_numpy


def leaf(array):
    return tensor(array).requires_grad_()


def training(compiled, sizes, rate, loss):
    """A step: the loss of an MLP, its gradients, Adam."""
    layers = []
    for weight, bias in data.layers(sizes):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(tensor(weight))
            linear.bias.copy_(tensor(bias))
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    forward = compiled(lambda: loss(model))

    def run():
        adam.zero_grad()
        value = forward()
        value.backward()
        adam.step()
        return value.item(), []

    return run, data.nothing


def gradients(compiled, leaves, loss, elements):
    """The loss and its gradients with respect to the leaves; `elements` picks what is compared."""
    forward = compiled(lambda: loss(*leaves))

    def run():
        value = forward()
        found = torch.autograd.grad(value, leaves)
        return value.item(), found

    return run, elements


def xor_mlp(compiled):
    x, y = torch.tensor(data.XOR_INPUTS), torch.tensor(data.XOR_TARGETS)
    loss = lambda model: F.binary_cross_entropy_with_logits(model(x), y)
    return training(compiled, data.XOR_SIZES, data.XOR_RATE, loss)


def mlp_mnist(compiled):
    x = tensor(data.uniform([data.MNIST_BATCH, data.MNIST_SIZES[0]], 1, 0.0, 1.0))
    y = tensor(data.labels(data.MNIST_BATCH, 2, data.MNIST_SIZES[-1]))
    loss = lambda model: F.cross_entropy(model(x), y)
    return training(compiled, data.MNIST_SIZES, data.MNIST_RATE, loss)


def elementwise_1m(compiled):
    x = leaf(data.uniform([data.ELEMENTS], 1, -2.0, 2.0))
    loss = lambda x: (torch.tanh(data.A * x + data.B) * torch.sigmoid(x) + torch.exp(-x.square())).sum()
    return gradients(compiled, [x], loss, lambda dx: (dx[3], dx[5], dx[7]))


def matmul_1024(compiled):
    a, b, w = (data.uniform([data.MATRIX] * 2, seed, 0.0, 1.0) for seed in (1, 2, 3))
    w = tensor(w)
    loss = lambda a, b: (a @ b * w).sum()
    return gradients(compiled, [leaf(a), leaf(b)], loss, lambda da, db: (da[3, 5], db[5, 3], 0.0))


def softmax_ce_32k(compiled):
    logits = leaf(data.uniform([data.ITEMS, data.CLASSES], 1, -4.0, 4.0))
    y = tensor(data.labels(data.ITEMS, 2, data.CLASSES))
    label = int(y[0])
    loss = lambda logits: F.cross_entropy(logits, y)
    return gradients(compiled, [logits], loss, lambda dx: (dx[0, label], dx[3, 5], dx[7, 9]))


def layernorm(compiled):
    shape = [data.ROWS, data.FEATURES]
    x, w = leaf(data.uniform(shape, 1, -1.0, 1.0)), tensor(data.uniform(shape, 2, 0.0, 1.0))
    gamma = leaf(data.uniform([data.FEATURES], 3, 0.5, 1.5))
    beta = leaf(data.uniform([data.FEATURES], 4, 0.0, 1.0))

    def composed(x, gamma, beta):
        centered = x - x.mean(-1, keepdim=True)
        variance = centered.square().mean(-1, keepdim=True)
        return centered * torch.rsqrt(variance + data.EPSILON) * gamma + beta

    def own(x, gamma, beta):
        return F.layer_norm(x, [data.FEATURES], gamma, beta, data.EPSILON)

    # Eager, the function of the library; compiled, the formula that the others have too.
    normalized = own if compiled is eager else composed
    loss = lambda *leaves: (normalized(*leaves) * w).sum()
    pick = lambda dx, dgamma, dbeta: (dx[3, 5], dgamma[5], dbeta[7])
    return gradients(compiled, [x, gamma, beta], loss, pick)


def small_ops(compiled):
    def loss(x):
        for _ in range(data.CHAIN):
            x = x * data.FACTOR
            x = x + data.SUMMAND
        return x.sum()

    return gradients(compiled, [torch.ones(8, requires_grad=True)], loss, lambda dx: (dx[0], dx[3], dx[7]))


def eager(function):
    return function


WORKLOADS = [xor_mlp, mlp_mnist, elementwise_1m, matmul_1024, softmax_ce_32k, layernorm, small_ops]

if __name__ == "__main__":
    named = lambda compiled: {setup.__name__: lambda setup=setup: setup(compiled) for setup in WORKLOADS}
    data.main({"pytorch": named(eager), "torch.compile": named(torch.compile)})
