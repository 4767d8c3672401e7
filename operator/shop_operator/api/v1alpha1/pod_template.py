"""Pod settings without a field of their own."""

from typing import Annotated, Any, Final

import orjson
from pydantic import Field

from shop_operator.api.v1alpha1.scalars import Annotations, Labels
from shop_operator.api.v1alpha1.schema import Model
from shop_operator.objects.lenient import deeper

LARGEST_TEMPLATE: Final = 64 * 1024
_DEEPEST_TEMPLATE: Final = 64
TEMPLATE_TOO_DEEP: Final = f"podTemplate must not be nested more than {_DEEPEST_TEMPLATE} levels deep"
TEMPLATE_TOO_LARGE: Final = "podTemplate must not exceed 64 KiB"


class TemplateMetadata(Model):
    """Labels and annotations of the pods."""

    labels: Labels | None = None
    """Additional labels."""
    annotations: Annotations | None = None
    """Additional annotations."""


class PodTemplate(Model):
    """Pod settings without a field of their own, merged over the operator's defaults as a strategic merge patch."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations."""
    spec: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Fields of a pod's spec, merged as the API server merges an apply: items of lists are matched by all of their keys, and a handler, source or other member of a union replaces the one that is set. `$patch: delete` in a field or list item removes it, and `$patch: replace` in a map or list discards the existing content. Null removes a field too, but `kubectl apply` and `helm upgrade` do not send it. The container named app represents the main container of every Deployment. Image, command, args, ports, ServiceAccount and grace period have fields of their own and are rejected here, and so is a different value for an environment variable that env, workers or dependsOn sets. Other variables of the container named app come after those, so a value in spec.env that refers to one of them as `$(NAME)` is not expanded: define it in spec.env instead."""


def problem(template: Any) -> str | None:
    """The message for a podTemplate that is too large or too deep, otherwise None. CEL cannot measure either."""
    if deeper(template, _DEEPEST_TEMPLATE):
        return TEMPLATE_TOO_DEEP
    return TEMPLATE_TOO_LARGE if len(orjson.dumps(template)) > LARGEST_TEMPLATE else None
