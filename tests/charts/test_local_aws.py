"""charts/local-aws: the emulator under both names that the SDKs ask for."""

from tests.charts.helm import Helm


def test_given_the_emulator_then_its_data_host_name_resolves_to_it_for_discover_instances(helm: Helm) -> None:
    """For DiscoverInstances they put `data-` in front of the host of the endpoint that they were given."""
    objects = helm.template("local-aws", namespace="aws")

    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}

    assert services["data-local-aws"] == services["local-aws"]
