"""charts/local-aws: the emulator under both names that the SDKs ask for."""

from tests.charts.helm import Helm


def test_given_the_emulator_then_the_name_that_the_sdks_ask_for_addresses_leads_to_it_too(helm: Helm) -> None:
    """For DiscoverInstances they put `data-` in front of the host of the endpoint that they were given."""
    objects = helm.template("local-aws", namespace="aws")

    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}

    assert services["data-local-aws"] == services["local-aws"]
