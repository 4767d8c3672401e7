"""The Pod Security Standards, for the pod template of a workload: the fields that Pod Security admission of the API server rejects.

The rules are those of the newest version of the standards (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
As in the API server, null and the empty value count as unset.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from shop_operator.errors import InvalidSpec
from shop_operator.objects.lenient import mapping, mappings
from shop_operator.objects.pod_security_rules import BASELINE, RESTRICTED, shortened

Level = Literal["privileged", "baseline", "restricted"]
LEVELS: Final[tuple[Level, ...]] = ("restricted", "baseline", "privileged")
LABEL: Final = "pod-security.kubernetes.io/enforce"

_GROUPS: Final = ("initContainers", "containers", "ephemeralContainers")
# Keeps the message of the condition readable: the other violations appear once these are fixed.
_MOST_VIOLATIONS: Final = 20


def level_of(labels: Mapping[str, Any], default: Level) -> Level:
    """The level in the labels of a namespace, otherwise the default. An unknown level is restricted, as in the API server."""
    label = labels.get(LABEL)
    if label is None:
        return default
    return next((each for each in LEVELS if each == label), "restricted")


def check(template: Mapping[str, Any], level: Level, workload: str) -> None:
    """Accept only a pod template within the level.

    Args:
        template: the rendered pod template, including the user's overlay.
        level: level of the namespace.
        workload: name of the Deployment.

    Raises:
        InvalidSpec: if the template violates the level. The message names the fields.
    """
    if level == "privileged":
        return
    found = violations(template, level)
    if not found:
        return
    listed = " ".join(f"{each}." for each in found[:_MOST_VIOLATIONS])
    more = f" There are {len(found) - _MOST_VIOLATIONS} more." if len(found) > _MOST_VIOLATIONS else ""
    raise InvalidSpec(
        f"The pods of {workload} violate the pod-security level {level} of the namespace. {listed}{more} Change these fields in"
        f" the spec, or ask an administrator of the cluster to set the namespace's label {LABEL}."
    )


def violations(template: Mapping[str, Any], level: Level) -> list[str]:
    """The violations of a level in a pod template: clauses without a full stop that begin with the field."""
    rules = {"privileged": (), "baseline": BASELINE, "restricted": (*BASELINE, *RESTRICTED)}[level]
    metadata, spec = mapping(template.get("metadata")), mapping(template.get("spec"))
    containers = [
        (f"spec.{group}[{shortened(each.get('name'))}]", each)
        for group in _GROUPS
        for each in mappings(spec.get(group))
    ]
    return [violation for rule in rules for violation in rule(metadata, spec, containers)]
