"""One ShopService as the API server stores it, and the rules that need its name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pydantic import ValidationError

from shop_operator.api.v1alpha1 import canary, dependencies, discovery, pod_template, worker
from shop_operator.api.v1alpha1.problems import messages
from shop_operator.api.v1alpha1.scalars import LABEL, LABEL_LENGTH
from shop_operator.api.v1alpha1.schema import matching, rules
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.errors import InvalidSpec
from shop_operator.objects.lenient import mapping

INVALID_NAME: Final = "the name must be a DNS label that begins with a letter (at most 63 characters), since the Service has the same name"
_NAME_RULE: Final = (
    f"{matching('self.metadata.name', LABEL)} && size(self.metadata.name) <= {LABEL_LENGTH}",
    INVALID_NAME,
)
OBJECT_RULES: Final = rules(
    _NAME_RULE, worker.NAME_RULE, discovery.NAME_RULE, canary.NAME_RULE, dependencies.NAME_RULE
)
"""Rules that the spec alone cannot express, since they need the name of the ShopService."""


@dataclass(frozen=True)
class ShopService:
    """A ShopService as the API server stores it. Its spec is parsed on first use.

    Args:
        name: metadata.name.
        namespace: metadata.namespace.
        uid: metadata.uid.
        generation: metadata.generation.
        labels: metadata.labels.
        document: the spec as it is stored; it may be invalid.
        annotations: metadata.annotations.
        created: metadata.creationTimestamp, as RFC 3339.
        status: the status as it is stored.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    labels: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    created: str = "1970-01-01T00:00:00Z"
    status: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_object(cls, obj: Mapping[str, Any]) -> "ShopService":
        """Read an object of the API. Objects of any shape are accepted."""
        metadata = obj["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            labels=metadata.get("labels") or {},
            document=obj.get("spec") or {},
            annotations=mapping(metadata.get("annotations")),
            # The API server always sets it.
            created=metadata.get("creationTimestamp", cls.created),
            status=mapping(obj.get("status")),
        )

    @cached_property
    def spec(self) -> ShopServiceSpec:
        """The spec as a model.

        Raises:
            InvalidSpec: if the spec is invalid. The message names every invalid field and the reason.
        """
        try:
            spec = ShopServiceSpec.model_validate(without_nulls(self.document))
        except ValidationError as error:
            raise InvalidSpec(messages(error)) from None
        for path, problem in self._problems(spec):
            if problem is not None:
                raise InvalidSpec(f"{path}: {problem}.")
        return spec

    def _problems(self, spec: ShopServiceSpec) -> Iterator[tuple[str, str | None]]:
        """OBJECT_RULES in Python: the path of each field with what is wrong, None when nothing is."""
        template = self.document.get("podTemplate")
        yield "metadata.name", None if is_name(self.name) else INVALID_NAME
        yield "spec.workers", worker.name_problem(self.name, spec.workers)
        yield "spec.discovery", discovery.name_problem(self.name, spec.discovery)
        yield "spec.rollout.canary", canary.name_problem(self.name, spec.rollout)
        yield "spec.podTemplate", pod_template.problem(template)
        yield "spec.dependsOn", dependencies.name_problem(self.name, spec.depends_on)


def is_name(name: str) -> bool:
    """Whether a ShopService may have this name; INVALID_NAME states the rule."""
    return len(name) <= LABEL_LENGTH and re.fullmatch(LABEL, name) is not None


def without_nulls(value: Any) -> Any:
    """A spec as the API server stores it: without null fields, except in the spec of podTemplate.

    Args:
        value: the spec, or a value in it.
    """
    if isinstance(value, dict):
        return {
            key: _patch(each) if key == "podTemplate" else without_nulls(each)
            for key, each in value.items()
            if each is not None
        }
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _patch(template: Any) -> Any:
    """A podTemplate without null fields, except in its spec, where null removes a field."""
    if not isinstance(template, dict):
        return template
    return {
        key: each if key == "spec" else without_nulls(each)
        for key, each in template.items()
        if each is not None
    }
