"""The network, loss and optimizer of a graph file in PyTorch's own terms."""

import torch
from torch import nn
from torch.nn import functional


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


class SamePadding(nn.Module):
    """Zero padding that makes the output's size the input's over the stride, rounded up.

    Where the padding is odd, one more goes to the bottom and right.
    """

    def __init__(self, kernel, stride, dilation):
        super().__init__()
        self.sizes = tuple(zip(kernel, stride, dilation))

    def forward(self, images):
        edges = []
        for extent, (kernel, stride, dilation) in zip(images.shape[2:], self.sizes):
            steps = -(-extent // stride) - 1
            total = max(0, steps * stride + dilation * (kernel - 1) + 1 - extent)
            edges.append((total // 2, total - total // 2))
        (top, bottom), (left, right) = edges
        return functional.pad(images, (left, right, top, bottom))


class Convolution(nn.Module):
    def __init__(self, layer, in_channels):
        super().__init__()
        kernel, stride = pair(layer["kernel"]), pair(layer.get("stride", 1))
        dilation, padding = pair(layer.get("dilation", 1)), layer.get("padding", 0)
        self.same = SamePadding(kernel, stride, dilation) if padding == "same" else nn.Identity()
        self.convolution = nn.Conv2d(
            in_channels,
            layer["out_channels"],
            kernel,
            stride,
            0 if padding in ("same", "valid") else pair(padding),
            dilation,
            layer.get("groups", 1),
            layer.get("bias", True),
        )

    def forward(self, images):
        return self.convolution(self.same(images))


class Join(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(inputs)


def make_module(layer, shapes):
    """The module of one layer; `shapes` are its inputs', without the batch: [channels, height, width] or [features]."""
    kind = layer["type"]
    shape = shapes[0]
    simple = {
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "gelu": nn.GELU,
        "flatten": nn.Flatten,
        "softmax": lambda: nn.Softmax(dim=1),
        "leaky_relu": lambda: nn.LeakyReLU(layer.get("slope", 0.01)),
        "global_avg_pool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "add": lambda: Join(sum),
        "concat": lambda: Join(lambda inputs: torch.cat(inputs, dim=1)),
        "conv2d": lambda: Convolution(layer, shape[0]),
        "dense": lambda: nn.Linear(shape.numel(), layer["out_features"], layer.get("bias", True)),
    }
    if kind in simple:
        return simple[kind]()
    if kind in ("max_pool", "avg_pool"):
        pool = nn.MaxPool2d if kind == "max_pool" else nn.AvgPool2d
        return pool(pair(layer["kernel"]), pair(layer.get("stride", layer["kernel"])), pair(layer.get("padding", 0)))
    if kind == "batch_norm":
        norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return norm(shape[0], layer.get("eps", 1e-5), layer.get("momentum", 0.1))
    if kind == "dropout" and layer.get("p", 0.5) == 0:
        return nn.Identity()
    raise SystemExit(f"layers.{layer['name']}: '{kind}' has no equal here (random numbers differ, or a new type)")


class Network(nn.Module):
    """The layers of a graph file, run in the order of the file."""

    def __init__(self, graph, input_shape):
        super().__init__()
        self.layers, self.inputs = nn.ModuleDict(), {}
        # A sigmoid right before binary cross-entropy is folded into the loss.
        layers = graph["layers"]
        if graph["loss"]["type"] == "binary_cross_entropy" and layers[-1]["type"] == "sigmoid":
            layers = layers[:-1]
        values, before = {"input": torch.zeros(2, *input_shape)}, "input"
        for layer in layers:
            after = layer.get("after", before)
            inputs = [after] if isinstance(after, str) else after
            module = make_module(layer, [values[name].shape[1:] for name in inputs])
            # Shapes are found by trying; batch_norm must not learn from that.
            with torch.no_grad():
                values[layer["name"]] = module.eval()(*(values[name] for name in inputs))
            before = layer["name"]
            self.layers[before], self.inputs[before] = module.train(), inputs
        self.output = before

    def forward(self, images):
        values = {"input": images}
        for name, module in self.layers.items():
            values[name] = module(*(values[source] for source in self.inputs[name]))
        return values[self.output]

    def tensors(self):
        """{"conv1.weight": tensor}: parameters and running statistics, under the names of lenet-flow's files.

        They are the network's own, not copies.
        """
        state = self.state_dict()
        names = {name: name.removeprefix("layers.").replace(".convolution.", ".") for name in state}
        return {names[name]: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def make_loss(loss):
    kind = loss["type"]
    if kind == "softmax_cross_entropy":
        return nn.CrossEntropyLoss(label_smoothing=loss.get("label_smoothing", 0.0))
    if kind == "binary_cross_entropy":
        return lambda outputs, labels: functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.to(outputs))
    if kind == "mean_squared_error":
        return lambda outputs, labels: functional.mse_loss(
            outputs, functional.one_hot(labels, outputs.shape[1]).to(outputs)
        )
    raise SystemExit(f"loss: '{kind}' is not known here")


def make_optimizer(optimizer, parameters):
    kind, rate, decay = optimizer["type"], optimizer["learning_rate"], optimizer.get("weight_decay", 0.0)
    if kind == "sgd":
        momentum, nesterov = optimizer.get("momentum", 0.0), optimizer.get("nesterov", False)
        return torch.optim.SGD(parameters, rate, momentum, nesterov=nesterov, weight_decay=decay)
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    betas = (optimizer.get("beta1", 0.9), optimizer.get("beta2", 0.999))
    decay = optimizer.get("weight_decay", 0.01 if kind == "adamw" else 0.0)
    return make(parameters, rate, betas, optimizer.get("eps", 1e-8), decay)
