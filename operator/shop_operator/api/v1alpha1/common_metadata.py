"""Labels and annotations of every object that the operator creates: for one ShopService, or for all by a setting of the operator.

Pods are excepted, since a changed label would restart them; their labels are in podTemplate.metadata.
"""

from typing import Final, Self

from pydantic import ConfigDict, model_validator

from shop_operator.api.v1alpha1.scalars import Annotations, Labels
from shop_operator.api.v1alpha1.schema import Model, rules

OWNED_PREFIXES: Final = ("app.kubernetes.io/", "shopservice.dev/")
_FOREIGN_ANNOTATIONS: Final = (
    *OWNED_PREFIXES,
    "external-dns.kubernetes.io/",
    "external-dns.alpha.kubernetes.io/",
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/",
)

OWNED_LABEL: Final = (
    "commonMetadata.labels must not use the prefixes app.kubernetes.io/ and shopservice.dev/, which are reserved for the operator;"
    " to set part-of, add the label app.kubernetes.io/part-of to the ShopService"
)
OWNED_ANNOTATION: Final = (
    "commonMetadata.annotations must not use the prefixes app.kubernetes.io/, shopservice.dev/, external-dns.kubernetes.io/,"
    " external-dns.alpha.kubernetes.io/, deployment.kubernetes.io/ and kubectl.kubernetes.io/, which are reserved for the"
    " operator and other controllers"
)


def _none(field: str, prefixes: tuple[str, ...]) -> str:
    """The CEL rule that no key of a map has one of the prefixes."""
    owned = " && ".join(f"!k.startsWith('{prefix}')" for prefix in prefixes)
    return f"!has(self.{field}) || self.{field}.all(k, {owned})"


class CommonMetadata(Model):
    """Labels and annotations to add to objects."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (_none("labels", OWNED_PREFIXES), OWNED_LABEL),
            (_none("annotations", _FOREIGN_ANNOTATIONS), OWNED_ANNOTATION),
        )
    )

    labels: Labels | None = None
    """Labels to add, such as team: checkout. Labels that the operator sets are rejected."""
    annotations: Annotations | None = None
    """Annotations to add. Annotations of single objects, such as serviceAccount.annotations, take precedence."""

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        labels, annotations = self.labels or {}, self.annotations or {}
        if any(key.startswith(OWNED_PREFIXES) for key in labels):
            raise ValueError(OWNED_LABEL)
        if any(key.startswith(_FOREIGN_ANNOTATIONS) for key in annotations):
            raise ValueError(OWNED_ANNOTATION)
        return self


NOTHING: Final = CommonMetadata()
