"""The same training in lenet-flow and in PyTorch, from one safetensors file and over the same images in the same order.

After STEPS updates every tensor is compared: |ours - theirs| / |theirs - start| (Euclidean norms; the difference as a
share of the way that training went) must stay within 1e-3 for SGD and 1e-2 for Adam, whose division by small second
moments makes more of every rounding. Exit code 1 where one is over, 2 where a run failed. Started by equality.sh.
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

SGD = {"type": "sgd", "learning_rate": 0.02, "momentum": 0.9}
ADAM = {"type": "adam", "learning_rate": 0.001}
# Graph file, optimizer, epochs that the steps are spread over, micro-batch.
CASES = [
    ("lenet5.json", SGD, 1, BATCH),
    ("lenet5.json", SGD, 1, 24),
    ("lenet5.json", ADAM, 1, BATCH),
    ("lenet5.json", ADAM, 1, 24),
    ("seed_cnn.json", SGD, 4, BATCH),
    ("seed_cnn.json", ADAM, 4, BATCH),
    ("seed_cnn.json", ADAM, 4, 24),
]


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


def train_there(network, graph, pixels, labels, epochs):
    """Trains a PyTorch network on the images in file order."""
    loss = torch_network.make_loss(graph["loss"])
    optimizer = torch_network.make_optimizer(graph["training"]["optimizer"], network.parameters())
    for _ in range(epochs):
        for first in range(0, len(pixels), BATCH):
            optimizer.zero_grad()
            loss(network(pixels[first : first + BATCH]), labels[first : first + BATCH]).backward()
            optimizer.step()


def compare(ours, theirs, start, limit):
    """Prints a line a tensor; True where all stay within `limit`."""
    good = True
    for name, tensor in theirs.items():
        way = torch.linalg.vector_norm((tensor - start[name]).double()).item()
        apart = torch.linalg.vector_norm((ours[name] - tensor).double()).item() if name in ours else float("inf")
        share = apart / way if way > 0 else (0.0 if apart == 0 else float("inf"))
        within = share <= limit
        good = good and within
        print(f"  {name:<24} {way:>12.4e} {apart:>12.4e} {share:>10.1e}{'' if within else '  OVER THE LIMIT'}")
    for name in ours:
        if "#" not in name and name not in theirs:
            print(f"  {name:<24} only in lenet-flow's file")
            good = False
    return good


def run_case(arguments, case, folder):
    name, optimizer, epochs, micro_batch = case
    count = STEPS // epochs * BATCH
    changes = [
        ("data.shuffle", False),
        ("data.augment", []),
        ("training.batch", BATCH),
        ("training.epochs", epochs),
        ("training.optimizer", optimizer),
        ("training.schedule", {"type": "constant"}),
        ("pipeline.micro_batch", micro_batch),
    ]
    graph_path = ROOT / "graphs" / name
    graph = graph_file.read(graph_path, changes)
    pixels, labels = images.read_set(arguments.data, graph["data"]["set"], count)
    pixels = torch.from_numpy(images.preprocess(pixels, graph["data"].get("preprocess")))
    labels = torch.from_numpy(labels)

    torch.manual_seed(1)
    network = torch_network.Network(graph, pixels.shape[1:])
    start = {key: tensor.clone() for key, tensor in network.tensors().items()}
    save_file(start, folder / "start.safetensors")
    train_there(network, graph, pixels, labels, epochs)
    checkpoints = folder / "checkpoints"
    ours = train_here(
        arguments.program, graph_path, changes, count, folder / "start.safetensors", arguments.data, checkpoints
    )
    limit = LIMITS[optimizer["type"]]
    print(f"\n{name}, {optimizer['type']}, {STEPS} steps of {BATCH}, micro-batch {micro_batch}; at most {limit:g}")
    print(f"  {'tensor':<24} {'way':>12} {'apart':>12} {'share':>10}")
    return compare(ours, network.tensors(), start, limit)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build" / "tools" / "lenet-flow"))
    parser.add_argument("--data", default=os.environ.get("LENET_FLOW_DATA"), help="default: $LENET_FLOW_DATA")
    parser.add_argument("--only", default="", help="cases whose file and optimizer hold this: 'lenet5.json adam'")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("--data FOLDER or LENET_FLOW_DATA: the folder that holds mnist/ and cats-dogs/")
    print(f"PyTorch {torch.__version__}")
    over = []
    for case in CASES:
        title = f"{case[0]} {case[1]['type']}"
        if arguments.only not in title:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if not run_case(arguments, case, pathlib.Path(folder)):
                over.append(f"{title}, micro-batch {case[3]}")
    print("\nover the limit: " + "; ".join(over) if over else "\nall within the limits")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
