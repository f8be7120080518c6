"""The same training in lenet-flow and in PyTorch, from one safetensors file and over the same images in the same order.

After STEPS updates every tensor is compared: |ours - theirs| / |theirs - start| (Euclidean norms; the difference as a
share of the way that training went) must stay within 1e-3 for SGD and 1e-2 for Adam, whose division by small second
moments makes more of every rounding.

Two right programs agree to about 1e-6, unless somewhere a ReLU's input or two values under a max-pool are equal but for
rounding: then one takes the other branch, and training makes the more of it the steeper it is. PyTorch does so against
itself, in float32 against float64. So each case starts from several random starts and holds where most of them do: a
wrong formula fails in all. The last column says how far PyTorch's own float32 is from its float64. Exit code 1 where a
case does not hold, 2 where a run failed. Started by equality.sh.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

import graph_file
import images
import torch_network

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMITS = {"sgd": 1e-3, "adam": 1e-2, "adamw": 1e-2}
STEPS = 100
BATCH = 64

SGD = {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9}
ADAM = {"type": "adam", "learning_rate": 0.001}
# Graph file, optimizer, epochs that the steps are spread over, random starts.
CASES = [
    ("lenet5.json", SGD, 1, 5),
    ("lenet5.json", ADAM, 1, 5),
    ("seed_cnn.json", ADAM, 4, 3),
]
# The batch as a whole, and cut so that it does not divide.
MICRO_BATCHES = (BATCH, 24)


def train_here(program, graph_path, changes, limit, start, data, folder):
    """Parameters after `lenet-flow run`."""
    command = [program, "run", str(graph_path), "--quiet", "--data", str(data), "--init", str(start)]
    command += ["--limit", str(limit), "--checkpoint", str(folder)]
    for path, value in changes:
        command += ["--set", f"{path}={json.dumps(value)}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        print(f"exit code {done.returncode}: {' '.join(command)}", file=sys.stderr)
        sys.exit(2)
    return load_file(max(folder.glob("epoch-*.safetensors")))


def train_there(graph, start, pixels, labels, epochs, kind):
    """PyTorch's parameters after training on the images in file order, in numbers of `kind`."""
    network = torch_network.Network(graph, pixels.shape[1:])
    for name, tensor in network.tensors().items():
        tensor.copy_(start[name])
    network, pixels = network.to(kind), pixels.to(kind)
    loss = torch_network.make_loss(graph["loss"])
    optimizer = torch_network.make_optimizer(graph["training"]["optimizer"], network.parameters())
    for _ in range(epochs):
        for first in range(0, len(pixels), BATCH):
            optimizer.zero_grad()
            loss(network(pixels[first : first + BATCH]), labels[first : first + BATCH]).backward()
            optimizer.step()
    return network.tensors()


def norm(tensor):
    return torch.linalg.vector_norm(tensor.double()).item()


def share(ours, theirs, start):
    """|ours - theirs| / |theirs - start|"""
    apart, way = norm(ours.double() - theirs.double()), norm(theirs.double() - start.double())
    return apart / way if way > 0 else (0.0 if apart == 0 else float("inf"))


class Start:
    """One random start and where training went from it: here by micro-batch, in PyTorch in float32 and float64."""

    def __init__(self, arguments, case, seed, folder):
        name, optimizer, epochs, _ = case
        count = STEPS // epochs * BATCH
        changes = [
            ("data.shuffle", False),
            ("data.augment", []),
            ("training.batch", BATCH),
            ("training.epochs", epochs),
            ("training.optimizer", optimizer),
            ("training.schedule", {"type": "constant"}),
        ]
        graph_path = ROOT / "graphs" / name
        graph = graph_file.read(graph_path, changes)
        pixels, labels = images.read_set(arguments.data, graph["data"]["set"], count)
        pixels = torch.from_numpy(images.preprocess(pixels, graph["data"].get("preprocess")))
        labels = torch.from_numpy(labels)

        torch.manual_seed(seed)
        start = torch_network.Network(graph, pixels.shape[1:]).tensors()
        file = folder / "start.safetensors"
        save_file(start, file)
        theirs = train_there(graph, start, pixels, labels, epochs, torch.float32)
        exact = train_there(graph, start, pixels, labels, epochs, torch.float64)
        self.rows = {name: [norm(theirs[name] - start[name])] for name in start}
        for size in MICRO_BATCHES:
            more = [("pipeline.micro_batch", size)]
            checkpoints = folder / str(size)
            ours = train_here(arguments.program, graph_path, changes + more, count, file, arguments.data, checkpoints)
            for name, row in self.rows.items():
                row.append(share(ours[name], theirs[name], start[name]) if name in ours else float("inf"))
            extra = [name for name in ours if "#" not in name and name not in start]
            if extra:
                sys.exit(f"only in lenet-flow's file: {', '.join(extra)}")
        for name, row in self.rows.items():
            row.append(share(theirs[name], exact[name], start[name]))

    def largest(self):
        """The largest share of our tensors, over all micro-batches."""
        return max(max(row[1:-1]) for row in self.rows.values())

    def print_tensors(self):
        sizes = "".join(f"{f'by {size}':>10}" for size in MICRO_BATCHES)
        print(f"  {'tensor':<24} {'way':>10} {sizes} {'float64':>10}")
        for name, (way, *shares) in self.rows.items():
            print(f"  {name:<24} {way:>10.3e} " + "".join(f"{value:>10.1e}" for value in shares))


def holds(arguments, case):
    """Runs one case from all of its starts, prints the middle one tensor by tensor, and says whether most hold."""
    name, optimizer, _, count = case
    limit = LIMITS[optimizer["type"]]
    title = f"{name}, {optimizer['type']}"
    print(f"\n{title}: {STEPS} steps of {BATCH}, in micro-batches of {MICRO_BATCHES}; limit {limit:g}")
    starts = []
    for seed in range(1, count + 1):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(Start(arguments, case, seed, pathlib.Path(folder)))
        print(f"  start {seed}: at most {starts[-1].largest():.1e}", flush=True)
    starts.sort(key=Start.largest)
    starts[count // 2].print_tensors()
    return starts[count // 2].largest() <= limit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build" / "tools" / "lenet-flow"))
    parser.add_argument("--data", default=os.environ.get("LENET_FLOW_DATA"), help="default: $LENET_FLOW_DATA")
    parser.add_argument("--only", default="", help="cases whose file and optimizer hold this: 'lenet5.json adam'")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("--data FOLDER or LENET_FLOW_DATA: the folder that holds mnist/ and cats-dogs/")
    print(f"PyTorch {torch.__version__}")
    wanted = [case for case in CASES if arguments.only in f"{case[0]} {case[1]['type']}"]
    broken = [f"{case[0]} {case[1]['type']}" for case in wanted if not holds(arguments, case)]
    print("\nover the limit: " + ", ".join(broken) if broken else "\nall within the limits")
    return 1 if broken or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
