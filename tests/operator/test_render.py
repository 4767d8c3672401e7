"""What a ShopService becomes, one golden file per behaviour."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shop_operator.render import KINDS, LiveScale, render
from shop_operator.spec import ShopService

CASES = sorted(each.parent for each in (Path(__file__).parent / "golden").glob("*/in.yaml"))


def rendered(case: Path) -> list[dict[str, Any]]:
    given_object = yaml.safe_load((case / "in.yaml").read_text())
    live = given_object.pop("live", None)
    return render(ShopService.from_object(given_object), live=LiveScale(live) if live else None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, request: pytest.FixtureRequest) -> None:
    objects, expected = rendered(case), case / "out.yaml"

    if request.config.getoption("--update-golden"):
        expected.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    assert objects == list(yaml.safe_load_all(expected.read_text()))


names = st.from_regex(r"\A[a-z]([-a-z0-9]{0,18}[a-z0-9])?\Z")
workers = st.lists(
    st.fixed_dictionaries(
        {"name": names, "command": st.just(["run"])},
        optional={"replicas": st.integers(0, 5), "port": st.integers(1, 65535)},
    ),
    max_size=4,
    unique_by=lambda worker: str(worker["name"]),
)
specs = st.fixed_dictionaries(
    {"image": st.from_regex(r"\A[a-z]{1,10}(/[a-z]{1,10}){0,2}(:[a-zA-Z0-9_.-]{1,80})?\Z")},
    optional={
        "port": st.integers(1, 65535),
        "replicas": st.integers(0, 50),
        "workers": workers,
        "env": st.lists(
            st.fixed_dictionaries({"name": names, "value": st.text(max_size=20)}),
            max_size=5,
            unique_by=lambda e: e["name"],
        ),
    },
)


@given(name=names, spec=specs)
def test_every_child_of_any_shopservice_is_named_labelled_owned_and_the_same_again(
    name: str, spec: dict[str, Any]
) -> None:
    shop = ShopService(name=name, namespace="shop", uid="u", generation=1, document=spec)

    children = render(shop, live=None)

    assert children == render(shop, live=None)
    kinds = {(kind.api_version, kind.kind) for kind in KINDS}
    identities = [(child["kind"], child["metadata"]["name"]) for child in children]
    assert len(set(identities)) == len(identities)
    for child in children:
        metadata = child["metadata"]
        assert (child["apiVersion"], child["kind"]) in kinds
        assert len(metadata["name"]) <= 63
        assert metadata["labels"]["shopservice.dev/name"] == name
        assert all(len(value) <= 63 for value in metadata["labels"].values())
        assert [owner["uid"] for owner in metadata["ownerReferences"] if owner["controller"]] == ["u"]


@given(name=names, spec=specs)
def test_every_pod_meets_the_restricted_standard(name: str, spec: dict[str, Any]) -> None:
    shop = ShopService(name=name, namespace="shop", uid="u", generation=1, document=spec)

    for child in render(shop, live=None):
        if child["kind"] != "Deployment":
            continue
        pod = child["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["capabilities"]["drop"] == ["ALL"]
            assert not context["allowPrivilegeEscalation"]
            assert context["readOnlyRootFilesystem"]
