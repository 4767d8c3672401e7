"""Invalid labels, annotations and object names."""

from shop_operator.api.v1alpha1 import common_metadata, service_account
from shop_operator.api.v1alpha1.scalars import INVALID_KEY
from tests.operator.refusals.refusal import Refusal

REFUSALS = (
    Refusal(
        "annotations for an existing ServiceAccount",
        {"serviceAccount": {"name": "mine", "annotations": {"a": "b"}}},
        service_account.ANNOTATED_EXISTING_ACCOUNT,
    ),
    *(
        Refusal(
            f"the reserved common label {key}",
            {"commonMetadata": {"labels": {key: "a"}}},
            common_metadata.OWNED_LABEL,
        )
        for key in ("app.kubernetes.io/part-of", "shopservice.dev/name")
    ),
    *(
        Refusal(
            f"the reserved common annotation {key}",
            {"commonMetadata": {"annotations": {key: "a"}}},
            common_metadata.OWNED_ANNOTATION,
        )
        for key in (
            "shopservice.dev/applied-hash",
            "external-dns.kubernetes.io/hostname",
            "external-dns.alpha.kubernetes.io/hostname",
            "deployment.kubernetes.io/revision",
            "kubectl.kubernetes.io/last-applied-configuration",
        )
    ),
    Refusal(
        "a common label with a space in its key", {"commonMetadata": {"labels": {"a b": "c"}}}, INVALID_KEY
    ),
    Refusal(
        "a common annotation with two slashes in its key",
        {"commonMetadata": {"annotations": {"a/b/c": "d"}}},
        INVALID_KEY,
    ),
    Refusal(
        "an object name with an uppercase letter",
        {"serviceAccount": {"name": "Mine"}},
        "must be the name of an object: lowercase letters, digits, '-' and '.', with a letter or digit first and last",
    ),
    Refusal(
        "a pod label value with a space",
        {"podTemplate": {"metadata": {"labels": {"team": "check out"}}}},
        "must be the value of a label: letters, digits, '-', '_' and '.', with a letter or digit first and last",
    ),
    *(
        Refusal(f"a key with a space in {above}", spec, INVALID_KEY)
        for above, spec in (
            ("podTemplate.metadata.labels", {"podTemplate": {"metadata": {"labels": {"a b": "c"}}}}),
            (
                "podTemplate.metadata.annotations",
                {"podTemplate": {"metadata": {"annotations": {"a b": "c"}}}},
            ),
            ("monitoring.labels", {"monitoring": {"labels": {"a b": "c"}}}),
            ("serviceAccount.annotations", {"serviceAccount": {"annotations": {"a b": "c"}}}),
        )
    ),
)
