"""The refusals of `make load`."""

from pathlib import Path

import pytest

from shopdev.load import cli


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("", "run `make dev` in another terminal"),
        ("API_URL=https://shop.example.com\n", "runs on AWS, where a load costs money"),
        ("API_URL=http://127.0.0.1:1\nAWS_ENDPOINT_URL=http://127.0.0.1:2\n", "run `make load`"),
    ],
)
def test_given_no_shop_of_this_machine_when_the_load_starts_then_it_says_what_to_do(
    env: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "env"
    file.write_text(env)
    monkeypatch.setattr("shopdev.environment_file.OF_DEMO", file)
    monkeypatch.setattr(cli, "LOCUST", tmp_path / "locust")
    for name in ("API_URL", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    assert cli.main([]) == 1

    assert message in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--customers=0", "--customers=201", "--seconds=x", "--seconds=3601"])
def test_given_a_load_out_of_bounds_when_it_is_asked_for_then_the_limits_are_named(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([argument])

    assert "must be a number from 1 to" in capsys.readouterr().err
