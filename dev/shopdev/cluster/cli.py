"""The command line of `dev/cluster`."""

import argparse
import os
import shutil
import sys

from shopdev.checkout import ROOT
from shopdev.cluster import debian, images, tools
from shopdev.cluster.node import Node
from shopdev.cluster.progress import ClusterError, say


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dev/cluster", description="A real single-node Kubernetes on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster; a healthy one is not changed")
    commands.add_parser("down", help="remove the cluster with all its data")
    commands.add_parser(
        "status", help="print the components and URLs; exit with 1 if the cluster is not healthy"
    )
    load = commands.add_parser(
        "load", help="load images from buildah's store, or archive files, into the node"
    )
    load.add_argument("images", nargs="+", metavar="IMAGE")
    run = commands.add_parser("exec", help="run a command in the network of the cluster, with KUBECONFIG set")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD")
    build = commands.add_parser(
        "tools", help="build missing tools at their pinned versions; print their folders"
    )
    build.add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("base-image", help="build the base images; print their names")
    options = parser.parse_args(argv)
    try:
        return _run(options)
    except ClusterError as error:
        sys.stderr.write(f"cluster: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    node = Node()
    match options.command:
        case "up":
            node.up()
        case "down":
            node.down()
            say(f"{node.paths.name} removed")
        case "status":
            return 0 if node.status() else 1
        case "load":
            images.load(node.state, options.images)
        case "exec":
            _exec(node, options.argv[1:] if options.argv[:1] == ["--"] else options.argv)
        case "tools":
            for name in options.names or tools.names():
                sys.stdout.write(f"{tools.ensure(name)}\n")
        case "base-image":
            debian.ensure()
            sys.stdout.write("{}\n{}\n".format(*images.ensure_base()))
    return 0


def _exec(node: Node, argv: list[str]) -> None:
    """Replace this process by the command, in the network of the cluster.

    Raises:
        ClusterError: when the cluster is not running or the command does not exist.
    """
    env = node.environment()
    # kubectl finds its plugin `kubectl shop` in the virtual environment of the checkout.
    path = os.pathsep.join((env["PATH_TOOLS"], str(ROOT / ".venv" / "bin"), os.environ["PATH"]))
    if not argv or shutil.which(argv[0], path=path) is None:
        raise ClusterError(
            f"command not found: {argv[0] if argv else '(none)'}; usage: dev/cluster exec -- CMD"
        )
    command = node.namespace.with_names([*node.namespace.enter, *argv])
    os.execvpe(command[0], command, {**os.environ, **env, "PATH": path})  # noqa: S606  becoming the user's command is the job
