"""A release and its identity.

A release is everything that makes pods: the pod templates of all workloads, and the content of the ConfigMaps and Secrets that
they use. Objects that are missing say nothing about a release: a deleted Secret or dependency may be back a moment later.
Therefore an identity records, piece by piece, what existed when the release was tried, and only a piece that exists now can
make a different release.
"""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import orjson

from shop_operator.api.v1alpha1.shopservice import ShopService
from shop_operator.names import CHECKSUM_ANNOTATION, PART_OF_LABEL
from shop_operator.objects.lenient import mapping
from shop_operator.render import render
from shop_operator.render.configuration import Configuration
from shop_operator.render.surroundings import Surroundings
from shop_operator.status.rollback.identity import read, written
from shop_operator.status.rollback.pod_fields import pod_fields

# Only the image of a larger release is kept: the status is stored in the ShopService, which is limited to 1.5 MB.
_LARGEST: Final = 128 * 1024


@dataclass(frozen=True)
class Release:
    """The release that the spec asks for.

    Args:
        templates: the hash of its pod templates, without the pieces in `present`.
        pods: the fields of the spec that make the pods; empty if they are too large for the status.
        configuration: the checksums of their configuration, by Deployment.
        present: the digests of the configuration and the ports of the dependencies that exist now, by piece.
        tried: the same as its pods received them; the empty string for a piece that did not exist.
        applied: whether every Deployment matches it.
    """

    templates: str
    pods: Mapping[str, Any] = field(default_factory=dict)
    configuration: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, str] = field(default_factory=dict)
    tried: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False

    @property
    def identity(self) -> str:
        """Its identity in a status."""
        return written(self.templates, self.tried)

    def is_that(self, identity: str) -> bool:
        """Whether a status means this release: its templates are the same, and no piece that exists has changed."""
        templates, tried = read(identity)
        return templates == self.templates and all(
            tried.get(piece, now) == now for piece, now in self.present.items()
        )

    def remembered(self, identity: str) -> str:
        """That identity of it, with the pieces that exist now and that it does not contain."""
        _, tried = read(identity)
        known = {piece: tried[piece] for piece in self.tried if piece in tried}
        return written(self.templates, {**self.present, **known})

    @property
    def kept(self) -> dict[str, Any]:
        """The fields of status.rollout once it is available."""
        kept: dict[str, Any] = {"lastAvailableRelease": self.identity}
        if self.pods:
            kept["lastAvailable"] = self.pods
        if self.configuration:
            kept["lastAvailableConfiguration"] = dict(self.configuration)
        return kept

    @property
    def rejected(self) -> dict[str, Any]:
        """The fields of status.rollout once it has failed."""
        return {"rejectedRelease": self.identity}


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
        desired: its rendered children.
        config: the configuration that its pods use.
        around: the surroundings with which they are rendered.
        there: the dependencies that exist.
        part_of: the part-of label of the pods of each existing Deployment, by name; it is not a part of a release.
    """
    deployments = _deployments(shop, desired, around)
    templates = {
        name: _comparable(each["spec"]["template"], part_of.get(name)) for name, each in deployments.items()
    }
    pieces = list(_pieces(shop, config, around, there))
    return Release(
        templates=_hash(templates),
        pods=_small_enough(pod_fields(shop.document)),
        configuration=_checksums(deployments),
        present={piece.name: piece.now for piece in pieces if piece.now is not None},
        tried={piece.name: piece.tried for piece in pieces},
    )


def _deployments(
    shop: ShopService, desired: list[dict[str, Any]], around: Surroundings
) -> dict[str, dict[str, Any]]:
    """The Deployments, by name, without the ports of dependencies: these are compared piece by piece."""
    if around.dependencies or around.called_ports:
        desired = render(shop, live=None, around=replace(around, dependencies={}, called_ports={}))
    return {each["metadata"]["name"]: each for each in desired if each["kind"] == "Deployment"}


def _small_enough(fields: dict[str, Any]) -> dict[str, Any]:
    return fields if len(orjson.dumps(fields)) <= _LARGEST else {}


def _checksums(deployments: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The checksum of the configuration of each Deployment that uses any."""
    annotations = {
        name: mapping(each["spec"]["template"]["metadata"].get("annotations"))
        for name, each in deployments.items()
    }
    return {
        name: each[CHECKSUM_ANNOTATION] for name, each in annotations.items() if each.get(CHECKSUM_ANNOTATION)
    }


class _Piece(NamedTuple):
    """A value that pods receive from another object.

    Attributes:
        name: the hash of what it is.
        now: its value; None if the object does not exist.
        tried: the value that the pods received; empty if the object did not exist.
    """

    name: str
    now: str | None
    tried: str


def _pieces(
    shop: ShopService, config: Configuration, around: Surroundings, there: AbstractSet[str]
) -> Iterator[_Piece]:
    for name in shop.spec.depends_on or ():
        port = str(around.port(name))
        yield _Piece(_hash(["dependency", name]), port if name in there else None, port)
    if config.digests is None:
        return
    for name, uses in config.uses.items():
        recorded = config.digests.recorded(around.record(name))
        for use in uses:
            now = config.digests.content(use)
            tried = now or recorded.get(use.object) or config.digests.values.get(use) or ""
            yield _Piece(_hash([config.digests.key_id, name, *use]), now, tried)


def _hash(value: Any) -> str:
    found = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(found, digest_size=8).hexdigest()


def _comparable(template: Mapping[str, Any], part_of: str | None) -> dict[str, Any]:
    """A pod template without its checksum, and with the part-of label of the existing pods."""
    metadata = template["metadata"]
    labels = metadata["labels"] | ({PART_OF_LABEL: part_of} if part_of is not None else {})
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != CHECKSUM_ANNOTATION}
    return {**template, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
