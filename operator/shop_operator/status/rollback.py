"""Automatic rollback: what a release is, what is kept of the last good one, and what runs in place of a rejected one.

A release is everything that makes pods: the pod templates of all workloads, and the content of the ConfigMaps and Secrets that
they use. It is rejected, and goes back, as a whole. What makes no pods (replicas, autoscaling, routes, policies) follows the
spec all the time; so does the Service, whose named target port works with old and with new pods.

What is away says nothing about a release: a Secret that is deleted, or a dependency, may be back a moment later. So an identity
keeps what was there when the release was tried, piece by piece, and only a piece that is there now can make it another one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from shop_operator.api.v1alpha1.shopservice import ShopService, without_nulls
from shop_operator.errors import InvalidSpec
from shop_operator.names import CHECKSUM_ANNOTATION, PART_OF_LABEL, RETRY_ANNOTATION
from shop_operator.objects.lenient import mapping, mappings, text
from shop_operator.render import render
from shop_operator.render.configuration import Configuration, Record
from shop_operator.render.surroundings import Surroundings

_NO_PODS: Final = (
    "replicas",
    "autoscaling",
    "routes",
    "gateway",
    "gateways",
    "discovery",
    "disruption",
    "rollout",
    "networkPolicy",
    "monitoring",
    "commonMetadata",
    "suspend",
)
_SCALE: Final = ("replicas", "autoscaling")
# Takes a field of a podTemplate away, as null does.
_GONE: Final = {"$patch": "delete"}
# Of a release that is larger only the image is kept: the status is stored in the ShopService, which may have 1.5 MB.
_LARGEST: Final = 128 * 1024
# The first word of an identity.
_FORMAT: Final = "v2"


@dataclass(frozen=True)
class Release:
    """What the spec asks for in this pass.

    Args:
        templates: a hash of its pod templates, without what is in `present`.
        image: spec.image.
        pods: the fields of the spec that make them; empty when they are too large to be kept.
        retry: the value of the retry annotation.
        configuration: the checksums of their configuration, by the name of the Deployment.
        present: the digests of the configuration, and the ports of the dependencies, that there are now, by what they are of.
        tried: those that pods of it have got; empty text for what has not been there.
        applied: every Deployment is as it asks.
    """

    templates: str
    image: str = ""
    pods: Mapping[str, Any] = field(default_factory=dict)
    retry: str = ""
    configuration: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, str] = field(default_factory=dict)
    tried: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False

    @property
    def identity(self) -> str:
        """What a status remembers it by."""
        return _written(self.templates, self.tried)

    def is_that(self, identity: str) -> bool:
        """Whether it is the release that a status remembers: the same templates, and nothing that is there has changed."""
        templates, tried = _read(identity)
        return templates == self.templates and all(
            tried.get(piece, now) == now for piece, now in self.present.items()
        )

    def remembered(self, identity: str) -> str:
        """That identity of it, with what it does not say of pieces that are there now."""
        _, tried = _read(identity)
        known = {piece: tried[piece] for piece in self.tried if piece in tried}
        return _written(self.templates, {**self.present, **known})

    @property
    def kept(self) -> dict[str, Any]:
        """What status.rollout keeps of it once it has been available."""
        kept: dict[str, Any] = {"lastAvailableRelease": self.identity}
        if self.pods:
            kept["lastAvailable"] = self.pods
        if self.configuration:
            kept["lastAvailableConfiguration"] = dict(self.configuration)
        return kept

    @property
    def rejected(self) -> dict[str, Any]:
        """What status.rollout says of it once it has failed."""
        return {"rejectedRelease": self.identity} | ({"retry": self.retry} if self.retry else {})

    def rejected_by(self, rollout: Mapping[str, Any], *, spec_changed: bool = False) -> bool:
        """Whether this release was rejected and no retry has been requested.

        Args:
            rollout: what the status says.
            spec_changed: the status is of an earlier generation of the spec.
        """
        if "rejectedRelease" not in rollout:
            # As an earlier version of the operator has written it.
            return bool(self.image) and rollout.get("rejectedImage") == self.image
        rejected = text(rollout["rejectedRelease"])
        if text(rollout.get("retry")) != self.retry:
            return False
        if not _comparable_identity(rejected):
            # Another earlier version took what was away for a change: only the spec can tell.
            return not spec_changed
        return self.is_that(rejected)


GOOD: Final = ("lastAvailableImage", "lastAvailable", "lastAvailableConfiguration", "lastAvailableRelease")
"""What status.rollout keeps of the last good release."""


def rolls_back(shop: ShopService) -> bool:
    """Whether a release that fails goes back by itself."""
    return bool(shop.spec.rollout and shop.spec.rollout.auto_rollback)


def release(
    shop: ShopService,
    desired: list[dict[str, Any]],
    config: Configuration,
    around: Surroundings,
    there: AbstractSet[str],
    part_of: Mapping[str, str],
) -> Release:
    """The release that the spec asks for.

    Args:
        shop: the ShopService.
        desired: what it is rendered to.
        config: the configuration that its pods use.
        around: the surroundings with which it is rendered.
        there: the dependencies that exist.
        part_of: the part-of label of the pods of each Deployment that exists, by its name: it makes no release.
    """
    alone = desired
    if around.dependencies or around.called_ports:
        # The ports of dependencies are compared one by one.
        alone = render(shop, live=None, around=replace(around, dependencies={}, called_ports={}))
    deployments = {each["metadata"]["name"]: each for each in alone if each["kind"] == "Deployment"}
    templates = {
        name: _comparable(each["spec"]["template"], part_of.get(name)) for name, each in deployments.items()
    }
    pods = _pods(shop.document)
    found = {piece: (now, tried) for piece, now, tried in _pieces(shop, config, around, there)}
    return Release(
        _hash(templates),
        shop.spec.image,
        pods if len(orjson.dumps(pods)) <= _LARGEST else {},
        text(shop.annotations.get(RETRY_ANNOTATION)),
        {
            name: checksum
            for name, each in deployments.items()
            if (
                checksum := mapping(each["spec"]["template"]["metadata"].get("annotations")).get(
                    CHECKSUM_ANNOTATION
                )
            )
        },
        {piece: now for piece, (now, _) in found.items() if now is not None},
        {piece: tried for piece, (_, tried) in found.items()},
    )


def _pieces(
    shop: ShopService, config: Configuration, around: Surroundings, there: AbstractSet[str]
) -> Iterator[tuple[str, str | None, str]]:
    """What pods get from beside the spec: of what, as it is now (None when it is away), and as they got it."""
    for name in shop.spec.depends_on or ():
        port = str(around.port(name))
        yield _hash(["dependency", name]), port if name in there else None, port
    if config.digests is None:
        return
    for name, uses in config.uses.items():
        recorded = config.digests.recorded(around.record(name))
        for use in uses:
            now = config.digests.content(use)
            tried = now or recorded.get(use.object) or config.digests.values.get(use) or ""
            yield _hash([config.digests.key_id, name, *use]), now, tried


def _hash(value: Any) -> str:
    found = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(found, digest_size=8).hexdigest()


def _written(templates: str, tried: Mapping[str, str]) -> str:
    return " ".join([_FORMAT, templates, *(f"{piece}={value}" for piece, value in sorted(tried.items()))])


def _comparable_identity(identity: str) -> bool:
    return identity.startswith(f"{_FORMAT} ")


def _read(identity: str) -> tuple[str, dict[str, str]]:
    """The hash of the templates, and the pieces; nothing when an earlier version has written it."""
    if not _comparable_identity(identity):
        return "", {}
    _, templates, *pieces = identity.split(" ")
    return templates, {piece: value for piece, _, value in (each.partition("=") for each in pieces)}


def _comparable(template: Mapping[str, Any], part_of: str | None) -> dict[str, Any]:
    """A pod template without its checksum, and with the part-of label that its pods have."""
    metadata = template["metadata"]
    labels = metadata["labels"] | ({PART_OF_LABEL: part_of} if part_of is not None else {})
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != CHECKSUM_ANNOTATION}
    return {**template, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def mergeable(document: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as JSON merge patches can write it, of which null is no value: in a podTemplate, `$patch: delete` stands for it."""
    found: dict[str, Any] = without_nulls(document)
    if "podTemplate" in found:
        found["podTemplate"] = _without_null_fields(found["podTemplate"])
    return found


def _without_null_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _GONE if each is None else _without_null_fields(each) for key, each in value.items()}
    return [_without_null_fields(each) for each in value] if isinstance(value, list) else value


def _pods(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec that make pods, as a status can hold them."""
    return {key: value for key, value in mergeable(document).items() if key not in _NO_PODS}


def _unscaled(worker: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in worker.items() if key not in _SCALE}


def last_good(shop: ShopService, rollout: Mapping[str, Any]) -> ShopService | None:
    """The ShopService with the pods of the last good release, None when there was none."""
    image = text(rollout.get("lastAvailableImage"))
    if not image:
        return None
    pods = dict(mapping(rollout.get("lastAvailable"))) or {**_pods(shop.document), "image": image}
    scale = {
        each.get("name"): {key: each[key] for key in _SCALE if key in each}
        for each in mappings(shop.document.get("workers"))
    }
    if "workers" in pods:
        pods["workers"] = [
            {**_unscaled(each), **scale[each.get("name")]} if each.get("name") in scale else each
            for each in mappings(pods["workers"])
        ]
    beside = {key: shop.document[key] for key in _NO_PODS if key in shop.document}
    return replace(shop, document={**pods, **beside})


def in_place(shop: ShopService) -> ShopService | None:
    """The ShopService with the last good release, as far as the status tells that this runs in place of the spec's.

    For a pass that does not know the release: that is another one at least if its image is another one.
    """
    rollout = mapping(shop.status.get("rollout"))
    rejected = (rollout.get("rejectedImage"), text(rollout.get("retry")))
    if not rolls_back(shop) or rejected != (shop.spec.image, text(shop.annotations.get(RETRY_ANNOTATION))):
        return None
    good = last_good(shop, rollout)
    try:
        return good if good is not None and good.spec else None
    except InvalidSpec:
        # A version of the operator that allowed more has kept it.
        return None


def records(rollout: Mapping[str, Any], now: Mapping[str, Record]) -> dict[str, Record]:
    """The records of configuration with which the last good release is rendered, by the name of the Deployment."""
    known = mapping(rollout.get("lastAvailableConfiguration"))
    if not rollout.get("lastAvailableRelease"):
        return dict(now)
    return {name: Record(None, text(checksum)) for name, checksum in known.items()}


def same_pods(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two specs make the same pods."""
    first, second = (
        {**pods, "workers": [_unscaled(each) for each in mappings(pods.get("workers"))]}
        for pods in map(_pods, (one, other))
    )
    return first == second
