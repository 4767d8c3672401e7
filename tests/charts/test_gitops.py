"""Health of a ShopService as computed by kstatus, Argo CD and Flux, with their own libraries and the shipped files."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from shopdev.checkout import ROOT
from shopdev.cluster import tools
from tests.operator.states import STATES, State

GITOPS = ROOT / "manifests/gitops"


@pytest.fixture(scope="module")
def judged() -> dict[str, dict[str, str]]:
    """The judgments by the name of the state."""
    argo = yaml.safe_load((GITOPS / "argocd-cm.yaml").read_text())["data"]
    (lua,) = argo.values()
    (flux,) = yaml.safe_load((GITOPS / "flux-health-checks.yaml").read_text())["spec"]["healthCheckExprs"]
    asked = {"lua": lua, "flux": flux, "objects": [each.object for each in STATES]}
    program = tools.ensure("kstatus") / "kstatus"
    done = subprocess.run([program], input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return {state.name: answer for state, answer in zip(STATES, answers, strict=True)}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_given_a_shopservice_in_each_state_then_kstatus_argo_cd_and_flux_report_that_state(
    judged: dict[str, dict[str, str]], state: State
) -> None:
    answer = judged[state.name]

    # Flux leaves what is being deleted to kstatus.
    flux = "Current" if state.kstatus == "Terminating" else state.kstatus
    assert (answer["kstatus"], answer["argo"], answer["flux"]) == (state.kstatus, state.argo, flux), answer


def test_given_a_failed_shopservice_then_argo_cd_shows_the_cause(judged: dict[str, dict[str, str]]) -> None:
    assert "container app exited with code 1" in judged["failed"]["argoMessage"]


def test_given_the_gitops_manifests_then_they_refer_to_the_shopservice_kind() -> None:
    argo: dict[str, Any] = yaml.safe_load((GITOPS / "argocd-cm.yaml").read_text())["data"]
    assert list(argo) == ["resource.customizations.health.shopservice.dev_ShopService"]
    (flux,) = yaml.safe_load((GITOPS / "flux-health-checks.yaml").read_text())["spec"]["healthCheckExprs"]
    assert (flux["apiVersion"], flux["kind"]) == ("shopservice.dev/v1alpha1", "ShopService")
