"""The API descriptions that are loaded with less memory are those of botocore."""

import pytest
from botocore.loaders import create_loader

from services.common.aws.descriptions import SERVICES, loader

CLIENTS = ("dynamodb", "s3", "secretsmanager", "servicediscovery", "sns", "sqs", "stepfunctions", "sts")


@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
@pytest.mark.parametrize("service", CLIENTS)
def test_given_a_service_of_the_shop_when_its_description_is_loaded_then_it_is_that_of_botocore(
    service: str, kind: str
) -> None:
    found, expected = (each.load_service_model(service, kind) for each in (loader(None), create_loader()))

    assert found == expected
    assert list(found) == list(expected)


def test_given_the_regions_when_they_are_loaded_then_only_those_of_other_services_are_missing() -> None:
    found, expected = (each.load_data("endpoints") for each in (loader(None), create_loader()))

    for partition in expected["partitions"]:
        partition["services"] = {
            name: each for name, each in partition["services"].items() if name in SERVICES
        }
    assert found == expected
    assert found["partitions"][0]["services"].keys() == SERVICES


def test_given_an_unknown_file_when_it_is_loaded_then_there_is_none() -> None:
    assert loader(None).file_loader.load_file("/nowhere/endpoints") is None
