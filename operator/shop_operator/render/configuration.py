"""The configuration that the pods of a Deployment use, and the changes of it that require new pods. Pure.

A container reads its variables once, and a file that is mounted by `subPath` is never refreshed. Pods are therefore replaced when the
configuration that they use changes. Three rules prevent unnecessary replacements:

- Only used configuration counts: the keys that the pods name, and whole objects only where the pods use whole objects.
- An absent object, or an absent key without which the pods do not start, is not a change: running pods have the values, and the
  object may return a moment later. Its last digest is carried over from the live Deployment. The same applies to an object that was
  emptied, because it may be filled in two steps. An optional key that is removed from an object with other keys is a change.
- A digest that is recorded for the first time replaces no pods. It is recorded on the Deployment, because the running pods started
  with the same content. The same applies to digests that were made with another key or by another rule.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from shop_operator.objects.lenient import mapping, mappings

_FORMAT: Final = "v2"
MOST_OBJECTS: Final = 256
"""The maximum number of ConfigMaps and Secrets of one ShopService. Each costs a request and an entry in an annotation."""


class Use(NamedTuple):
    """The use of one ConfigMap or Secret by the pods of one Deployment.

    Args:
        kind: ConfigMap or Secret.
        name: the name of the object.
        keys: the used keys, sorted; None for all.
        required: the used keys without which a pod does not start, sorted.
        optional: whether pods start without the object.
    """

    kind: str
    name: str
    keys: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()
    optional: bool = False

    @property
    def object(self) -> str:
        """The name of the object in a record."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Digests:
    """Keyed digests of the used configuration.

    Args:
        key_id: the ID of the key with which they were made.
        values: the digest of each use; None if the object or a required key is absent.
        empty: the uses of objects that have no content.
    """

    key_id: str
    values: Mapping[Use, str | None]
    empty: AbstractSet[Use] = frozenset()

    def content(self, use: Use) -> str | None:
        """The digest of the content of a use; None if it has no content."""
        return None if use in self.empty else self.values.get(use)

    def recorded(self, record: "Record") -> dict[str, str]:
        """The digests of a record, by object; empty if the record is not comparable with these digests."""
        return {**(_read(self.key_id, record.deployment) or {}), **(_read(self.key_id, record.pods) or {})}


@dataclass(frozen=True)
class Record:
    """The annotations that record the configuration of one Deployment.

    Args:
        deployment: the annotation of the Deployment: digests that were first recorded beside pods without them.
        pods: the annotation of the pod template.
    """

    deployment: str | None = None
    pods: str | None = None


@dataclass(frozen=True)
class Configuration:
    """The configuration of one ShopService.

    Args:
        uses: the uses of each Deployment, by its name; a Deployment without uses is absent.
        digests: the digests of all uses; None if changes of the configuration are not tracked.
    """

    uses: Mapping[str, AbstractSet[Use]] = field(default_factory=dict)
    digests: Digests | None = None

    def records(self, live: Mapping[str, Record]) -> dict[str, Record]:
        """The records to apply, by the name of the Deployment.

        Args:
            live: the records of the live Deployments.
        """
        return {name: self._record(used, live.get(name)) for name, used in self.uses.items()}

    def _record(self, used: AbstractSet[Use], live: Record | None) -> Record:
        if self.digests is None:
            return live or Record()
        now = {use: self.digests.content(use) for use in used}
        empty = {use.object: self.digests.values.get(use) for use in used & self.digests.empty}
        key_id = self.digests.key_id
        if live is None:
            return Record(None, _written(key_id, _entries(now, empty)))
        of_pods, of_deployment = _read(key_id, live.pods), _read(key_id, live.deployment)
        known = self.digests.recorded(live)
        followed = of_pods is not None or of_deployment is not None
        if any(_needs_pods(use, digest, known, followed=followed) for use, digest in now.items()):
            return Record(None, _written(key_id, _entries(now, empty | known)))
        entries = _entries(now, empty | known)
        beside = {name: digest for name, digest in entries.items() if name not in (of_pods or {})}
        first = _written(key_id, beside) if beside or of_pods is None else None
        return Record(first, live.pods)


def _needs_pods(use: Use, digest: str | None, known: Mapping[str, str], *, followed: bool) -> bool:
    if digest is None:
        return False
    before = known.get(use.object)
    # Pods that started without an optional object get it only when they are replaced.
    return use.optional and followed if before is None else digest != before


def _entries(now: Mapping[Use, str | None], known: Mapping[str, str | None]) -> dict[str, str]:
    found = {use.object: digest or known.get(use.object) for use, digest in now.items()}
    return {name: digest for name, digest in found.items() if digest is not None}


def _written(key_id: str, entries: Mapping[str, str]) -> str:
    return " ".join(
        [f"{_FORMAT}-{key_id}", *(f"{name}={digest}" for name, digest in sorted(entries.items()))]
    )


def _read(key_id: str, text: str | None) -> dict[str, str] | None:
    """The entries of a record; None if the record is not comparable with the current digests."""
    head, *entries = (text or "").split(" ")
    if head != f"{_FORMAT}-{key_id}":
        return None
    return {name: digest for name, _, digest in (entry.rpartition("=") for entry in entries)}


def uses(spec: Mapping[str, Any]) -> frozenset[Use]:
    """The uses of the containers of a pod spec, one for each object."""
    found: dict[tuple[str, str], list[_One]] = {}
    for one in _each(spec):
        found.setdefault((one.kind, one.name), []).append(one)
    return frozenset(_together(kind, name, ones) for (kind, name), ones in found.items())


class _One(NamedTuple):
    """The use of one key, or of the whole object (key None)."""

    kind: str
    name: str
    key: str | None
    optional: bool


def _together(kind: str, name: str, ones: list[_One]) -> Use:
    keys = {one.key for one in ones if one.key is not None}
    whole = any(one.key is None for one in ones)
    required = {one.key for one in ones if one.key is not None and not one.optional}
    return Use(
        kind,
        name,
        None if whole else tuple(sorted(keys)),
        tuple(sorted(required)),
        all(one.optional for one in ones),
    )


def _each(spec: Mapping[str, Any]) -> Iterator[_One]:
    volumes = {str(volume.get("name")): volume for volume in mappings(spec.get("volumes"))}
    for container in (*mappings(spec.get("initContainers")), *mappings(spec.get("containers"))):
        for origin in mappings(container.get("envFrom")):
            yield from _named("ConfigMap", mapping(origin.get("configMapRef")), None)
            yield from _named("Secret", mapping(origin.get("secretRef")), None)
        for variable in mappings(container.get("env")):
            source = mapping(variable.get("valueFrom"))
            for reference, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                yield from _named(
                    kind, mapping(source.get(reference)), _text(mapping(source.get(reference)), "key")
                )
        for mount in mappings(container.get("volumeMounts")):
            yield from _mounted(volumes.get(str(mount.get("name")), {}), _text(mount, "subPath"))


def _mounted(volume: Mapping[str, Any], path: str | None) -> Iterator[_One]:
    """The uses of a volume by one mount: the files at its subPath, or all files without one."""
    secret = mapping(volume.get("secret"))
    yield from _files("ConfigMap", mapping(volume.get("configMap")), path)
    yield from _files("Secret", {**secret, "name": secret.get("secretName")}, path)
    for source in mappings(mapping(volume.get("projected")).get("sources")):
        yield from _files("ConfigMap", mapping(source.get("configMap")), path)
        yield from _files("Secret", mapping(source.get("secret")), path)


def _files(kind: str, source: Mapping[str, Any], path: str | None) -> Iterator[_One]:
    items = mappings(source.get("items"))
    if not items:
        # Without items, each key is a file of that name.
        yield from _named(kind, source, path)
        return
    for item in items:
        if path is None or _inside(_text(item, "path") or "", path):
            yield from _named(kind, source, _text(item, "key"))


def _inside(file: str, path: str) -> bool:
    folder = path.rstrip("/")
    return file == folder or file.startswith(f"{folder}/")


def _named(kind: str, reference: Mapping[str, Any], key: str | None) -> Iterator[_One]:
    name = _text(reference, "name")
    if name:
        yield _One(kind, name, key, reference.get("optional") is True)


# The API server validates a podTemplate only after this, so any value may have any type.


def _text(value: Mapping[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None
