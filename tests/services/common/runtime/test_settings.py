"""A process with missing settings reports each of them in a line."""

import pytest

from services.common.runtime.settings import ServiceSettings

COMPLETE = {
    "TABLE": "shop-things",
    "TASKS_QUEUE_URL": "http://sqs/things",
    "EVENTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:000000000000:events",
    "AWS_REGION": "eu-central-1",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ServiceSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def test_given_the_required_variables_when_settings_are_loaded_then_the_others_have_defaults() -> None:
    settings = ServiceSettings.load()

    assert (settings.table, settings.port, settings.log_level) == ("shop-things", 8080, "INFO")
    assert settings.aws_endpoint_url is None


def test_given_missing_and_invalid_variables_when_settings_are_loaded_then_the_error_has_a_line_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TABLE")
    monkeypatch.setenv("PORT", "http")

    with pytest.raises(SystemExit) as ended:
        ServiceSettings.load()

    heading, *lines = str(ended.value.code).splitlines()
    assert heading == "service cannot start:"
    assert [line.split()[0] for line in lines] == ["TABLE", "PORT"]


def test_given_an_empty_variable_when_settings_are_loaded_then_it_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TABLE", "")

    with pytest.raises(SystemExit, match="TABLE is not set: name of the service's DynamoDB table"):
        ServiceSettings.load()


def test_given_a_fault_switchboard_without_an_emulator_when_settings_are_loaded_then_the_process_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAULTS_TABLE", "shop-faults")

    with pytest.raises(SystemExit, match="FAULTS_TABLE requires AWS_ENDPOINT_URL"):
        ServiceSettings.load()
