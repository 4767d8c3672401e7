"""The user's podTemplate over the operator's: a strategic merge patch, as `kubectl patch` would apply it.

Maps are merged, null takes a field away, lists are merged by the keys of the Kubernetes API or replaced. What the operator
owns must come out as it went in: another field of the ShopService says it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shop_operator.errors import InvalidSpec
from shop_operator.render.parts import Part
from shop_operator.spec import GROUP, ShopService

_DIRECTIVE: Final = "$patch"
APP: Final = "app"
"""In a podTemplate, the container of every part, whatever it is called there."""

# patchMergeKey of the list fields of a pod; a list that is not named here is replaced.
_MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "resourceClaims": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
# Maps whose keys are the user's own words, so that `env` there is no list of variables. Empty ones are not stored.
_FREE_MAPS: Final = frozenset(
    {
        "annotations",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "options",
        "overhead",
        "requests",
        "volumeAttributes",
    }
)
_OWNED_BY_US: Final = (
    "serviceAccountName",
    # Its old name, which the API server sets to the new one's value.
    "serviceAccount",
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
        patch["spec"] = {**spec, "containers": list(_for_part(shop, part, spec["containers"]))}
    merged: dict[str, Any] = _merged(template, patch, "spec.podTemplate")
    changed = sorted(_changed(part, template, merged))
    if changed:
        raise InvalidSpec(
            f"spec.podTemplate: {', '.join(changed)} must stay as the operator sets it;"
            " use the field of the ShopService's spec that is for it."
        )
    return merged


def _for_part(shop: ShopService, part: Part, containers: list[Any]) -> Iterator[Any]:
    """The containers that are meant for this part, called as they are here."""
    others = [worker.name for worker in shop.spec.workers or () if worker.name != part.container]
    for each in containers:
        name = each.get("name") if isinstance(each, Mapping) else None
        if name == APP:
            yield {**each, "name": part.container}
        elif name not in others:
            yield each


def _merged(base: Any, patch: Any, path: str, field: str = "") -> Any:
    if field in _MERGE_KEYS:
        return _merged_lists(base or [], patch, path, _MERGE_KEYS[field])
    if isinstance(patch, Mapping):
        return _merged_maps(base if isinstance(base, Mapping) else {}, patch, path, field)
    if isinstance(patch, list):
        return [_merged(None, item, f"{path}[{index}]") for index, item in enumerate(patch)]
    return patch


def _merged_maps(
    base: Mapping[str, Any], patch: Mapping[str, Any], path: str, field: str = ""
) -> dict[str, Any]:
    directive = patch.get(_DIRECTIVE)
    if directive not in (None, "replace"):
        raise InvalidSpec(
            f"{path}.{_DIRECTIVE}: must be replace, or delete in a field or in an item that is found by its key."
        )
    out = {} if directive else dict(base)
    for key, value in patch.items():
        if key == _DIRECTIVE:
            continue
        if key.startswith("$"):
            raise InvalidSpec(f"{path}.{key}: of the directives only {_DIRECTIVE} is understood here.")
        if value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete"):
            out.pop(key, None)
        else:
            known = "" if field in _FREE_MAPS else key
            out[key] = _merged(out.get(key), value, f"{path}.{key}", known)
            if known in _FREE_MAPS and out[key] == {}:
                del out[key]
    return out


def _merged_lists(base: list[Any], patch: Any, path: str, name: str) -> list[Any]:
    if not isinstance(patch, list) or not all(isinstance(item, Mapping) for item in patch):
        raise InvalidSpec(f"{path}: must be a list of maps, each with the key {name}.")
    out = [] if {_DIRECTIVE: "replace"} in patch else list(base)
    for item in patch:
        if item == {_DIRECTIVE: "replace"}:
            continue
        if item.get(name) is None:
            raise InvalidSpec(f"{path}: every item needs the key {name}, by which it is found.")
        at = next((index for index, each in enumerate(out) if each.get(name) == item[name]), len(out))
        kept = [] if item.get(_DIRECTIVE) == "delete" else [(out[at] if at < len(out) else {}, item)]
        out[at : at + 1] = [_merged_maps(*pair, f"{path}[{name}={item[name]}]") for pair in kept]
    return out


def _changed(part: Part, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The paths of what the operator owns and the overlay changes."""
    if not isinstance(after.get("spec"), Mapping):
        return {"spec"}
    changed = {f"spec.{key}" for key in _OWNED_BY_US if before["spec"].get(key) != after["spec"].get(key)}
    for group in ("labels", "annotations"):
        ours, theirs = (each["metadata"].get(group) or {} for each in (before, after))
        owned = {*ours, *(key for key in theirs if key.startswith(f"{GROUP}/"))}
        changed |= {f"metadata.{group}.{key}" for key in owned if theirs.get(key) != ours.get(key)}
    ours = _container(before, part)
    theirs = _container(after, part)
    where = f"spec.containers[name={APP}]"
    if theirs is None or ours is None:
        return {*changed, where}
    changed |= {f"{where}.{key}" for key in _OWNED_IN_CONTAINER if ours.get(key) != theirs.get(key)}
    if ours.get("envFrom") and theirs.get("envFrom") != ours["envFrom"]:
        # The list has no keys: it would be replaced.
        changed.add(f"{where}.envFrom")
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
