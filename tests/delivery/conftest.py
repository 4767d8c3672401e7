"""The real API server of the integration tier, with the operator's rights on it."""

from tests.integration.conftest import cluster, control_plane, gateway_api, kubectl, operator_kubeconfig

__all__ = ["cluster", "control_plane", "gateway_api", "kubectl", "operator_kubeconfig"]
