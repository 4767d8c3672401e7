"""Two autoscalers under the same saw-tooth load on the local node: replica counts over time, and their picture in the documentation.

One has the default `behavior` of the operator, the other removes pods at once. The node and the shop must run (`make demo`). The
samples are in docs/pictures/scaling.csv, from which docs/pictures/scaling.svg is drawn.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from shopdev.bench import drawing
from shopdev.bench.drawing import Area
from shopdev.checkout import ROOT
from shopdev.console import CommandError, run, say
from shopdev.demo import namespaces
from shopdev.demo.target import STATE, LocalNode

NAMESPACE: Final = "saw-tooth"
SAMPLES: Final = ROOT / "docs" / "pictures" / "scaling.csv"
PICTURE: Final = SAMPLES.with_suffix(".svg")
LOW, HIGH, PERIOD = 20, 140, 120
"""The load: thousandths of a CPU at its ends, and seconds."""
REQUEST, TARGET = 40, 50
"""CPU request of a pod in thousandths, and the target of its utilization in percent."""
NAMES: Final = ("calm", "at-once")
AT_ONCE: Final = {
    "scaleDown": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
}
INTERVAL: Final = 5.0


class Sample(NamedTuple):
    """Replica counts at one time.

    Attributes:
        seconds: since the start.
        needed: pods that the load needs at the target, with a fraction.
        default: replicas with the default behavior.
        at_once: replicas of the autoscaler that removes pods at once.
    """

    seconds: float
    needed: float
    default: int
    at_once: int


def main(argv: Sequence[str] | None = None) -> int:
    """Record unless told only to draw, and return the exit code."""
    parser = argparse.ArgumentParser(prog="dev/bench scaling", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=12.0, help="time to record; 0 only draws (default: 12)"
    )
    options = parser.parse_args(argv)
    if options.minutes:
        write(record(options.minutes * 60))
    PICTURE.write_text(draw(read()))
    say(f"drew {PICTURE.relative_to(ROOT)}")
    return 0


def record(seconds: float) -> list[Sample]:
    """Create the two ShopServices, sample them, and remove them.

    Raises:
        CommandError: the node does not run, or has no image of the sample.
    """
    target = LocalNode()
    env = target.env()
    images = json.loads((STATE / "images.json").read_text())
    namespaces.ensure(target, NAMESPACE)
    for name, behavior in zip(NAMES, (None, AT_ONCE), strict=True):
        document = json.dumps(_shopservice(name, images["sample"], behavior))
        run(["kubectl", "apply", "-f", "-"], env=env, stdin=document)
    try:
        ready = ["kubectl", "-n", NAMESPACE, "wait", "shopservices", "--all", "--for=condition=Available"]
        run([*ready, "--timeout=300s"], env=env)
        return list(_sampled(seconds, lambda name: _replicas(name, env)))
    finally:
        run(["kubectl", "delete", "namespace", NAMESPACE, "--wait=false"], env=env)


def _sampled(seconds: float, replicas: Callable[[str], int]) -> Iterator[Sample]:
    start = time.time()
    while (now := time.time()) < start + seconds:
        needed = (LOW + (HIGH - LOW) * (now % PERIOD) / PERIOD) * 100 / TARGET / REQUEST
        sample = Sample(round(now - start, 1), round(needed, 2), *map(replicas, NAMES))
        say(f"      {sample.seconds:6.1f} s  {sample.default} {sample.at_once}")
        yield sample
        time.sleep(max(now + INTERVAL - time.time(), 0))


def _replicas(name: str, env: dict[str, str]) -> int:
    count = ["kubectl", "-n", NAMESPACE, "get", "deployment", name, "-o", "jsonpath={.spec.replicas}"]
    return int(run(count, env=env))


def _shopservice(name: str, image: str, behavior: dict[str, Any] | None) -> dict[str, Any]:
    program = (resources.files(__package__) / "sawtooth_pod.py").read_text()
    variables = {
        "LOW": str(LOW),
        "HIGH": str(HIGH),
        "PERIOD": str(PERIOD),
        "PEERS": f"{name}-discovery.{NAMESPACE}.svc.cluster.local",
    }
    return {
        "apiVersion": "shopservice.dev/v1alpha1",
        "kind": "ShopService",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "image": image,
            "command": ["python3", "-c", program],
            "env": [{"name": key, "value": value} for key, value in variables.items()],
            "resources": {"requests": {"cpu": f"{REQUEST}m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}},
            "discovery": {"hostname": f"{name}.saw-tooth.internal"},
            "autoscaling": {
                "minReplicas": 1,
                "maxReplicas": 12,
                "cpu": TARGET,
                **({"behavior": behavior} if behavior else {}),
            },
        },
    }


def write(samples: Sequence[Sample], path: Path = SAMPLES) -> None:
    """Store samples as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Sample._fields)
        table.writerows(samples)


def read(path: Path = SAMPLES) -> list[Sample]:
    """The stored samples.

    Raises:
        CommandError: there are none.
    """
    samples = []
    if path.is_file():
        with path.open() as file:
            samples = [
                Sample(float(row["seconds"]), float(row["needed"]), int(row["default"]), int(row["at_once"]))
                for row in csv.DictReader(file)
            ]
    if not samples:
        raise CommandError(f"{path} has no samples: run `dev/bench scaling` without --minutes 0")
    return samples


WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 56, 44
LIGHT: Final = (
    ".needed { stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 4 3 }",
    ".default { stroke: #0969da }",
    ".at-once { stroke: #cf222e }",
)
DARK: Final = (
    ".needed { stroke: #9198a1 }",
    ".default { stroke: #58a6ff }",
    ".at-once { stroke: #ff7b72 }",
)


def draw(samples: Sequence[Sample]) -> str:
    """The picture of samples as an SVG document."""
    # The first sample is at 0 seconds.
    last, most = (
        max(samples[-1].seconds, INTERVAL),
        max(max(each.needed, each.default, each.at_once) for each in samples),
    )
    top = int(most) + 1
    area = Area(LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM, last, top)
    shown = (
        ("needed", "pods that the load needs", 0),
        ("default", f"default: {_turns(each.default for each in samples)} changes", 210),
        ("at-once", f"removed at once: {_turns(each.at_once for each in samples)} changes", 400),
    )
    parts = [
        *drawing.scale(area, ((pods, str(pods)) for pods in range(0, top + 1, 2))),
        *drawing.minutes(area, 2),
        *(part for name, text, at in shown for part in drawing.legend(LEFT + at, 24, name, text)),
        drawing.line(area, "needed", [(each.seconds, each.needed) for each in samples]),
        drawing.line(area, "at-once", [(each.seconds, each.at_once) for each in samples], steps=True),
        drawing.line(area, "default", [(each.seconds, each.default) for each in samples], steps=True),
    ]
    title = "Pods of two autoscalers under a saw-tooth load"
    return drawing.document((WIDTH, HEIGHT), title, LIGHT, DARK, parts)


def _turns(counts: Iterator[int]) -> int:
    """How often a count changes."""
    return sum(before != after for before, after in pairwise(counts))
