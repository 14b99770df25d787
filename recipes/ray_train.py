"""Training with `train.distribution: workers` on a Ray cluster, one worker a node.

    pip install -c constraints.txt 'ray[default]'
    ray job submit --address http://HEAD:8265 -- python PROJECT/recipes/ray_train.py --nodes 4

or, on a node of the cluster, `python recipes/ray_train.py --nodes 4`. The project lies at one path on every node, on a
shared disk or as clones of one commit, with every input of the stage `train`. Worker 0, the chief, runs the stage
through DVC, so that dvc.lock has it; the others only compute. Ray places the workers and sets nothing else: each is
the process that docs/scale.md starts by hand.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

PROJECT = Path(__file__).resolve().parents[1]
CHIEF = (sys.executable, "-m", "dvc", "repro", "--single-item", "--force", "train")
WORKER = (sys.executable, "stages/train.py")
# Ray sets these for its tasks; TensorFlow is to use all cores of the node.
UNSET = ("OMP_NUM_THREADS",)


class Node:
    """An actor on one node: reserves an address there, and trains."""

    def address(self) -> str:
        """Return the node's address with a free port."""
        with socket.socket() as reserved:
            reserved.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{reserved.getsockname()[1]}"

    def train(self, workers: list[str], index: int) -> int:
        """Run worker `index` to its end; return its exit code. What it prints goes to the log of the job."""
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        environment["TF_CONFIG"] = json.dumps(task)
        environment["PATH"] = (
            f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # for the stage's command
        )
        command = WORKER if index else CHIEF
        return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode


def main() -> None:
    """Place a worker on each node, and end with 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, required=True, help="workers, each on a node of its own")
    parser.add_argument("--cpus", type=int, default=1, help="cores that Ray sets aside for each (default: %(default)s)")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of each (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="auto")
    group = placement_group(
        [{"CPU": arguments.cpus, "GPU": arguments.gpus}] * arguments.nodes, strategy="STRICT_SPREAD"
    )
    if not group.wait(60):
        sys.exit(
            f"error: the cluster has no {arguments.nodes} nodes with {arguments.cpus} free cores: see `ray status`"
        )
    actor: Any = ray.remote(num_cpus=arguments.cpus, num_gpus=arguments.gpus)(Node)
    nodes = [
        actor.options(
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
        ).remote()
        for index in range(arguments.nodes)
    ]
    workers = ray.get([node.address.remote() for node in nodes])
    waiting = [node.train.remote(workers, index) for index, node in enumerate(nodes)]
    while waiting:
        done, waiting = ray.wait(waiting)
        if any(ray.get(done)):  # the others would wait for it; they end with their actors
            sys.exit("error: a worker failed; the log says why. Start the job again: it resumes after the last epoch")


if __name__ == "__main__":
    main()
