"""The CustomResourceDefinition: names, printer columns, subresources, and the schema that `structural` makes of the models."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from shop_operator.api.v1alpha1.shopservice import OBJECT_RULES
from shop_operator.api.v1alpha1.spec import ShopServiceSpec
from shop_operator.api.v1alpha1.status import ShopServiceStatus
from shop_operator.api.v1alpha1.structural import owned_by_block, structural
from shop_operator.names import GROUP, KIND, PLURAL, VERSION

SHORT_NAME: Final = "shopsvc"
_COLUMNS: Final = (
    # name, type, path, priority (1: only with -o wide), description
    ("Ready", "string", ".status.ready", 0, "Ready and desired pods"),
    (
        "Available",
        "string",
        '.status.conditions[?(@.type=="Available")].status',
        0,
        "Whether the web pods have minimum availability",
    ),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0, "Reason of the Ready condition"),
    ("Image", "string", ".spec.image", 1, "Container image of the spec"),
    ("HPA", "string", ".status.autoscaling", 0, "Minimum and maximum of the autoscaler"),
    ("URL", "string", ".status.url", 1, "URL inside the cluster"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since creation"),
)

# Without a condition, clients that follow kstatus consider a new object ready until its first reconcile.
_UNOBSERVED: Final[Mapping[str, Any]] = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NotObserved",
            "message": "Waiting for the operator.",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ]
}


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {
                            "name": name,
                            "type": kind,
                            "jsonPath": path,
                            "priority": priority,
                            "description": text,
                        }
                        for name, kind, path, priority, text in _COLUMNS
                    ],
                }
            ],
        },
    }


@cache
def spec_schema() -> Mapping[str, Any]:
    """The schema of the spec."""
    found: Mapping[str, Any] = _schema()["properties"]["spec"]
    return found


def _schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A microservice that serves HTTP. The operator creates and reconciles all Kubernetes objects that it needs.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": owned_by_block(structural(ShopServiceSpec.model_json_schema(by_alias=True))),
            "status": structural(ShopServiceStatus.model_json_schema(by_alias=True))
            | {"default": _UNOBSERVED},
        },
        **OBJECT_RULES,
    }
