"""The user's podTemplate over the operator's: a strategic merge patch, as `kubectl patch` would apply it.

Maps are merged, null takes a field away, lists are merged by the keys of the Kubernetes API or replaced. What the operator
owns must come out as it went in: another field of the ShopService says it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from shop_operator.errors import InvalidSpec
from shop_operator.render.parts import Part
from shop_operator.spec import ShopService

APP: Final = "app"
"""In a podTemplate, the container of every part, whatever it is called there."""

# patchMergeKey of the list fields of a pod; a list that is not named here is replaced.
_MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
_OWNED_BY_US: Final = (
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "restartPolicy",
    "imagePullSecrets",
)
_OWNED_IN_CONTAINER: Final = ("image", "command", "args", "ports")


def overlaid(shop: ShopService, part: Part, template: dict[str, Any]) -> dict[str, Any]:
    """The pod template with the user's over it.

    Raises:
        InvalidSpec: it changes what the operator owns, or is no patch.
    """
    overlay = shop.spec.pod_template
    if overlay is None:
        return template
    patch = overlay.to_dict()
    spec = patch.get("spec") or {}
    if isinstance(spec.get("containers"), list):
        patch["spec"] = {**spec, "containers": _for_part(shop, part, spec["containers"])}
    merged: dict[str, Any] = _merged(template, patch, "spec.podTemplate")
    changed = sorted(_changed(part, template, merged))
    if changed:
        raise InvalidSpec(
            f"spec.podTemplate: {', '.join(changed)} must stay as the operator sets it;"
            " use the field of the ShopService's spec that is for it."
        )
    return merged


def _for_part(shop: ShopService, part: Part, containers: list[Any]) -> list[Any]:
    """The containers that are meant for this part, called as they are here."""
    others = {worker.name for worker in shop.spec.workers or ()} - {part.container}
    named = [
        {**each, "name": part.container} if isinstance(each, dict) and each.get("name") == APP else each
        for each in containers
    ]
    return [each for each in named if not (isinstance(each, dict) and each.get("name") in others)]


def _merged(base: Any, patch: Any, path: str, field: str = "") -> Any:
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        return _merged_maps(base, patch, path)
    if isinstance(base, list) and isinstance(patch, list) and field in _MERGE_KEYS:
        return _merged_lists(base, patch, path, _MERGE_KEYS[field])
    return _without_directives(patch, path)


def _merged_maps(base: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    out = dict(base)
    for key, value in patch.items():
        if key.startswith("$"):
            raise InvalidSpec(
                f"{path}: {key} is not understood here; $patch: replace and $patch: delete are."
            )
        if value is None:
            out.pop(key, None)
        else:
            out[key] = (
                _merged(out[key], value, f"{path}.{key}", key)
                if key in out
                else _without_directives(value, f"{path}.{key}")
            )
    return out


def _merged_lists(base: list[Any], patch: list[Any], path: str, name: str) -> list[Any]:
    out = list(base)
    for item in patch:
        if not isinstance(item, Mapping):
            raise InvalidSpec(f"{path}: every item must be a map with the key {name}.")
        if item.get("$patch") == "replace" and len(item) == 1:
            out = []
            continue
        if name not in item:
            raise InvalidSpec(f"{path}: every item needs the key {name}, by which it is found.")
        at = next((i for i, each in enumerate(out) if each.get(name) == item[name]), None)
        if item.get("$patch") == "delete":
            out = [each for i, each in enumerate(out) if i != at]
        elif at is None:
            out.append(_without_directives(item, path))
        else:
            out[at] = _merged_maps(out[at], item, f"{path}[{name}={item[name]}]")
    return out


def _without_directives(value: Any, path: str) -> Any:
    """What is new as a whole, with nothing left in it that only a patch understands."""
    if isinstance(value, Mapping):
        if any(key.startswith("$") for key in value):
            raise InvalidSpec(
                f"{path}: there is nothing that {value.get('$patch', 'a directive')!r} could change."
            )
        return {key: _without_directives(item, path) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_directives(item, path) for item in value]
    return deepcopy(value)


def _changed(part: Part, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The paths of what the operator owns and the overlay changes."""
    changed = {f"spec.{key}" for key in _OWNED_BY_US if before["spec"].get(key) != after["spec"].get(key)}
    for group in ("labels", "annotations"):
        ours, theirs = (each["metadata"].get(group) or {} for each in (before, after))
        changed |= {f"metadata.{group}.{key}" for key, value in ours.items() if theirs.get(key) != value}
    ours = _container(before, part)
    theirs = _container(after, part)
    where = f"spec.containers[name={APP}]"
    if theirs is None or ours is None:
        return {*changed, where}
    changed |= {f"{where}.{key}" for key in _OWNED_IN_CONTAINER if ours.get(key) != theirs.get(key)}
    variables = {each["name"]: each for each in theirs.get("env") or ()}
    return changed | {
        f"{where}.env[name={each['name']}]"
        for each in ours.get("env") or ()
        if variables.get(each["name"]) != each
    }


def _container(template: Mapping[str, Any], part: Part) -> dict[str, Any] | None:
    found: dict[str, Any] | None = next(
        (each for each in template["spec"].get("containers") or () if each.get("name") == part.container),
        None,
    )
    return found
