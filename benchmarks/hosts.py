"""What training in two processes costs beside one, and what a network would add for more of them.

    python benchmarks/hosts.py [SPEC] [--set KEY=VALUE …] [--steps 20] [--turns 3] [--json FILE]

It starts two processes on this machine, which measure in turns, the fastest of each counting:

one      a step of the whole batch in one process, while the other rests
two      a step of the same batch in both, each with half of it
sum      the sum over both processes of arrays of 4 bytes to 64 MiB, which is what a step exchanges

Both processes share the cores of this machine, so that `two` would take as long as `one` if nothing were exchanged.
The times of the sums give a latency and a bandwidth; the table at the end puts those of networks in their place, with
the time that a ring takes for the sum of M bytes over N hosts: 2 (N - 1) (latency + M / (N bandwidth)). It is an upper
bound, as if none of it happened while a step is computed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SPEC = Path(__file__).parent.parent / "specs" / "radar_convlstm.yaml"
EPOCHS = 3
"""Epochs of one training; the first, which compiles, does not count."""
NETWORKS = {
    "1 Gbit/s Ethernet": (100e-6, 0.125e9),
    "10 Gbit/s Ethernet": (50e-6, 1.25e9),
    "100 Gbit/s InfiniBand": (5e-6, 12.5e9),
}
"""Latency in seconds and bandwidth in bytes per second, as their makers state them."""
HOSTS = (2, 4, 8, 16, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default=str(SPEC), help="default: specs/radar_convlstm.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="a change of the spec, KEY=VALUE")
    parser.add_argument("--steps", type=int, default=20, help="steps of an epoch")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--coordinator", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process is not None:
        print(json.dumps(measured(options)))
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    load = os.getloadavg()[0]
    command = [sys.executable, *sys.argv, "--coordinator", coordinator, "--process"]
    environ = os.environ | {"KERAS_BACKEND": "jax"}
    workers = [
        subprocess.Popen([*command, str(index)], env=environ, stdout=subprocess.PIPE, text=True) for index in (0, 1)
    ]
    said, _ = (worker.communicate()[0] for worker in workers)
    if any(worker.returncode for worker in workers):
        sys.exit("a process failed")
    numbers: dict[str, Any] = json.loads(said.splitlines()[-1])
    numbers |= {"load before": load, "load after": os.getloadavg()[0]}
    show(numbers)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure as one of the two processes, and return what it saw."""
    from specbuild.training import train
    from specbuild.training.progress import Display

    module = sys.modules["specbuild.training.train"]
    seconds: list[float] = []

    class Watch(Display):
        def epoch(self, row: Any, took: float, best: bool) -> None:  # noqa: ARG002 - the time is asked for
            seconds.append(took)

    module.display = lambda *_: Watch()  # type: ignore[attr-defined]
    overrides = [
        *options.overrides,
        *(f"train.epochs={EPOCHS}", f"train.steps_per_epoch={options.steps}"),
        *("data.split={train: 1.0}", "train.early_stopping=null"),
    ]
    both = {"coordinator": options.coordinator, "processes": 2, "process_id": options.process}
    best = {"one": float("inf"), "two": float("inf")}
    with tempfile.TemporaryDirectory() as folder:
        for _turn in range(options.turns):
            for name in ("two", "one"):
                if name == "one" and options.process:
                    continue  # it waits for the other at the next "two"
                seconds.clear()
                chosen: dict[str, Any] = both if name == "two" else {"processes": 1}
                train(options.spec, overrides=overrides, out=folder, quiet=True, **chosen)
                best[name] = min(best[name], *(took / options.steps for took in seconds[1:] or [float("inf")]))
    from specbuild.facade import build_graph

    parameters = build_graph(options.spec, overrides=overrides).parameters
    return {**best, "gradient": 4 * parameters, "sum": sums()}


def sums() -> dict[str, float]:
    """Return the seconds that sums over both processes take, by the bytes of the array."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("all",))
    each = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("all"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    add = jax.jit(lambda x: jnp.sum(x, axis=0), out_shardings=whole)
    found = {}
    for size in (4, 4096, 262144, 2**20, 2**24, 2**26):
        array = jax.make_array_from_process_local_data(each, np.ones((1, size // 4), np.float32))
        add(array).block_until_ready()
        times = []
        for _ in range(30 if size < 2**24 else 8):
            began = time.perf_counter()
            add(array).block_until_ready()
            times.append(time.perf_counter() - began)
        found[str(size)] = min(times)
    return found


def show(numbers: dict[str, Any]) -> None:
    one, two, size = numbers["one"], numbers["two"], numbers["gradient"]
    print(f"load {numbers['load before']:.1f} before, {numbers['load after']:.1f} after")
    print(f"one  {one * 1e3:8.2f} ms a step\ntwo  {two * 1e3:8.2f} ms a step  {two / one:.3f} of one\n")
    for bytes_, seconds in numbers["sum"].items():
        print(f"sum of {int(bytes_):>10,} bytes  {seconds * 1e3:8.3f} ms  {int(bytes_) / seconds / 1e6:8.1f} MB/s")
    print(f"\nA step exchanges {size:,} bytes of gradients. With as many windows per host as `one` has, on N hosts:\n")
    print("| network | " + " | ".join(f"{hosts} hosts" for hosts in HOSTS) + " |")
    print("|---|" + "---|" * len(HOSTS))
    for name, (latency, bandwidth) in NETWORKS.items():
        ways = (2 * (hosts - 1) * (latency + size / hosts / bandwidth) for hosts in HOSTS)
        print(f"| {name} | " + " | ".join(f"{1 + way / one:.3f}" for way in ways) + " |")
    print("\ntimes a step in one process; latency and bandwidth of the networks are assumed, not measured.")


if __name__ == "__main__":
    main()
