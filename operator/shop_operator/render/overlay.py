"""spec.podTemplate over the pod template of the operator: a strategic merge patch, merged as the API server merges an apply.

Maps are merged. `$patch: delete` or null removes a field. Lists are merged by all keys that the Kubernetes API defines for them, or
replaced. A member of a union replaces the present member. Items of one patch are never merged into each other; a patch that the API
server cannot store as written is rejected. A patch must not change the fields that the operator owns, because other fields of the
ShopService set them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.errors import InvalidSpec
from shop_operator.names import GROUP
from shop_operator.objects.kubernetes_schema import Type, Union, is_set, of_kind
from shop_operator.objects.lenient import mapping
from shop_operator.render.workloads import Workload

_DIRECTIVE: Final = "$patch"
_REPLACE: Final = {_DIRECTIVE: "replace"}
APP: Final = "app"
"""The name in a podTemplate of the container of any workload, whatever its actual name."""

_TEMPLATE: Final = of_kind("Deployment").below("spec").below("template")
_OWNED_BY_US: Final = (
    "serviceAccountName",
    # Its deprecated name, which the API server sets to the same value.
    "serviceAccount",
    "terminationGracePeriodSeconds",
    "restartPolicy",
    "imagePullSecrets",
)
_OWNED_IN_CONTAINER: Final = ("image", "command", "args", "ports")


def overlaid(shop: ShopService, workload: Workload, template: dict[str, Any]) -> dict[str, Any]:
    """The pod template, patched with spec.podTemplate.

    Raises:
        InvalidSpec: the patch is not valid, or changes a field that the operator owns.
    """
    overlay = shop.spec.pod_template
    if overlay is None:
        return template
    patch = overlay.to_dict()
    spec = patch.get("spec") or {}
    merged: dict[str, Any] = template
    if isinstance(spec.get("containers"), list):
        # The patch for all workloads comes first, then the patch for this one.
        own, others = _for_workload(shop, workload, spec["containers"])
        patch["spec"] = {**spec, "containers": others}
        merged = _merged(merged, patch, "spec.podTemplate", _TEMPLATE)
        patch = {"spec": {"containers": own}} if own else {}
    merged = _merged(merged, patch, "spec.podTemplate", _TEMPLATE)
    changed = sorted(_changed(workload, template, merged))
    if changed:
        raise InvalidSpec(
            f"spec.podTemplate: {', '.join(changed)} must not be changed here;"
            " use the corresponding field of the ShopService's spec."
        )
    if shop.spec.discovery is not None and mapping(merged.get("spec")).get("hostname"):
        raise InvalidSpec(
            "spec.podTemplate.spec.hostname: must not be set together with spec.discovery, since ExternalDNS would register"
            " the pods under that name in front of the hostname too; remove one of them."
        )
    return merged


def _for_workload(
    shop: ShopService, workload: Workload, containers: list[Any]
) -> tuple[list[Any], list[Any]]:
    """The containers of a patch for this workload by its name, and the other ones, with APP replaced by the name of its container."""
    workers = [worker.name for worker in shop.spec.workers or () if worker.name != workload.container]
    own, others = [], []
    for each in containers:
        name = each.get("name") if isinstance(each, Mapping) else None
        if name == APP:
            others.append({**each, "name": workload.container})
        elif name == workload.container:
            own.append(each)
        elif name not in workers:
            others.append(each)
    return own, others


def _merged(base: Any, patch: Any, path: str, kind: Type) -> Any:
    if kind.keys:
        return _merged_lists(base if isinstance(base, list) else [], patch, path, kind)
    if isinstance(patch, Mapping):
        return _merged_maps(base if isinstance(base, Mapping) else {}, patch, path, kind)
    if isinstance(patch, list):
        # The list is replaced in any case.
        items = [item for item in patch if item != _REPLACE]
        return [_merged(None, item, f"{path}[{index}]", kind.item) for index, item in enumerate(items)]
    return patch


def _merged_maps(base: Mapping[str, Any], patch: Mapping[str, Any], path: str, kind: Type) -> dict[str, Any]:
    directive = patch.get(_DIRECTIVE)
    if directive not in (None, "replace"):
        raise InvalidSpec(
            f"{path}.{_DIRECTIVE}: must be replace, or delete in a field or in an item that is found by its key."
        )
    out = {} if directive else dict(base)
    for union in kind.unions:
        out = _with_room(out, patch, path, union)
    for key, value in patch.items():
        if key == _DIRECTIVE:
            continue
        if key.startswith("$"):
            raise InvalidSpec(f"{path}.{key}: the only supported directive is {_DIRECTIVE}.")
        if _deletes(value):
            out.pop(key, None)
        else:
            out[key] = _merged(out.get(key), value, f"{path}.{key}", kind.below(key))
            if kind.below(key).name == "map" and out[key] == {}:
                # The API server does not store it.
                del out[key]
    return out


def _deletes(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete")


def _with_room(out: dict[str, Any], patch: Mapping[str, Any], path: str, union: Union) -> dict[str, Any]:
    """The fields without the members of a union that a member of the patch replaces.

    Raises:
        InvalidSpec: the patch itself sets two members.
    """
    given = [member for member in union.members if any(_sets(patch, field) for field in member)]
    if len(given) > 1:
        both = " and ".join(
            ".".join(field for field in member if _sets(patch, field)) for member in given[:2]
        )
        raise InvalidSpec(f"{path}: {both} are mutually exclusive; remove one of them.")
    told = patch.get(union.discriminator) if union.discriminator else None
    if not given and told is None:
        return out
    kept = {*(given[0] if given else ())} | {
        field for member in union.members if told and union.values.get(member[0]) == told for field in member
    }
    displaced = {field for member in union.members for field in member} - kept
    left = {key: value for key, value in out.items() if key not in displaced}
    if given and union.discriminator and told is None:
        left[union.discriminator] = union.values[given[0][0]]
    return left


def _sets(patch: Mapping[str, Any], field: str) -> bool:
    return is_set(patch, field) and not _deletes(patch[field])


def _merged_lists(base: list[Any], patch: Any, path: str, kind: Type) -> list[Any]:
    """The items of the base, merged with the items of the patch that have the same key, followed by the new items."""
    if not isinstance(patch, list) or not all(isinstance(item, Mapping) for item in patch):
        raise InvalidSpec(f"{path}: must be a list of maps, each with the key {kind.keys[0]}.")
    items = [item for item in patch if item != _REPLACE]
    _check_key(items, kind.keys[0], path)
    deleted = [item for item in items if item.get(_DIRECTIVE) == "delete"]
    given = [item for item in items if item.get(_DIRECTIVE) != "delete"]
    out: list[Any] = [
        item
        for item in (() if len(items) < len(patch) else base)
        if not any(_found_by(each, item, kind) for each in deleted)
    ]
    _check_distinct(given, path, kind)
    places = [_place(item, given, out, kind) for item in given]
    for item, place in zip(given, places, strict=True):
        where = f"{path}[{kind.keys[0]}={item[kind.keys[0]]}]"
        if place is None:
            out.append(_merged_maps({}, item, where, kind.item))
        else:
            out[place] = _merged_maps(out[place], item, where, kind.item)
    for key in kind.keys[1:]:
        if not kind.item.below(key).default:
            _check_key(out, key, path)
    _check_distinct(out, path, kind)
    return out


def _check_key(items: Sequence[Mapping[str, Any]], key: str, path: str) -> None:
    if not all(isinstance(item.get(key), str | int) for item in items):
        raise InvalidSpec(f"{path}: every item requires the key {key}, which identifies it.")


def _found_by(patch: Mapping[str, Any], item: Mapping[str, Any], kind: Type) -> bool:
    """Whether an item has the keys of a patch. A patch that deletes may omit some of them."""
    return all(item.get(key) == patch[key] for key in kind.keys if key in patch)


def _place(
    item: Mapping[str, Any], given: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]], kind: Type
) -> int | None:
    """The index in the base of the item that an item of the patch changes; None for a new item.

    As in `kubectl patch`, a key without a default may be omitted or changed if the first key alone identifies the item.
    """
    identities = [kind.identity(each) for each in base]
    identity = kind.identity(item)
    if identity in identities:
        return identities.index(identity)
    if all(kind.item.below(key).default for key in kind.keys[1:]):
        return None
    rivals = [
        each for each in given if kind.identity(each) not in identities and _same_first(each, item, kind)
    ]
    places = [
        place
        for place, each in enumerate(base)
        if _same_first(each, item, kind) and identities[place] not in map(kind.identity, given)
    ]
    return places[0] if len(rivals) == len(places) == 1 else None


def _same_first(one: Mapping[str, Any], other: Mapping[str, Any], kind: Type) -> bool:
    return bool(one[kind.keys[0]] == other[kind.keys[0]])


def _check_distinct(items: Sequence[Mapping[str, Any]], path: str, kind: Type) -> None:
    """Check that the keys of the items are distinct, because the API server keeps only one of two items with the same keys.

    Raises:
        InvalidSpec: two items have the same keys.
    """
    identities = [kind.identity(item) for item in items]
    twice = next((each for each in identities if identities.count(each) > 1), None)
    if twice is not None:
        keys = ", ".join(f"{key} {value}" for key, value in zip(kind.keys, twice, strict=True))
        raise InvalidSpec(
            f"{path}: two items have {keys}, and the API server keeps one of them; make them one item."
        )


def _changed(workload: Workload, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The paths of the fields that the operator owns and the overlay changes."""
    if not isinstance(after.get("spec"), Mapping):
        return {"spec"}
    changed = {f"spec.{key}" for key in _OWNED_BY_US if before["spec"].get(key) != after["spec"].get(key)}
    for group in ("labels", "annotations"):
        ours, theirs = (each["metadata"].get(group) or {} for each in (before, after))
        owned = {*ours, *(key for key in theirs if key.startswith(f"{GROUP}/"))}
        changed |= {f"metadata.{group}.{key}" for key in owned if theirs.get(key) != ours.get(key)}
    ours = _container(before, workload)
    theirs = _container(after, workload)
    where = f"spec.containers[name={APP}]"
    if theirs is None or ours is None:
        return {*changed, where}
    changed |= {f"{where}.{key}" for key in _OWNED_IN_CONTAINER if ours.get(key) != theirs.get(key)}
    if ours.get("envFrom") and theirs.get("envFrom") != ours["envFrom"]:
        # The list has no keys, so it would be replaced.
        changed.add(f"{where}.envFrom")
    variables = {each["name"]: each for each in theirs.get("env") or ()}
    return changed | {
        f"{where}.env[name={each['name']}]"
        for each in ours.get("env") or ()
        if variables.get(each["name"]) != each
    }


def _container(template: Mapping[str, Any], workload: Workload) -> dict[str, Any] | None:
    found: dict[str, Any] | None = next(
        (each for each in template["spec"].get("containers") or () if each.get("name") == workload.container),
        None,
    )
    return found
