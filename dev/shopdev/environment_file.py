"""Files of KEY=VALUE lines, such as .dev/env: what a demo or `make dev` leaves for the commands in dev/."""

from collections.abc import Mapping
from pathlib import Path

from shopdev.checkout import ROOT

OF_DEMO = ROOT / ".dev" / "env"
COMMENTS: Mapping[str, str] = {
    "API_URL": "The shop's API, for customers: through API Gateway.",
    "AWS_ENDPOINT_URL": "The AWS emulator. Without this line, AWS itself is meant.",
    "COGNITO_AUTHORIZE_URL": "Where a sign-in begins.",
    "COGNITO_ISSUER": "The `iss` of the tokens: a name, which need not answer.",
    "COGNITO_OPS_CLIENT_ID": "App client of operators.",
    "COGNITO_TOKEN_URL": "Where a code becomes a token.",
    "COGNITO_USER_POOL_ID": "The pool of the shop's users.",
    "COGNITO_WEB_CLIENT_ID": "App client of customers.",
    "KUBECONFIG": "The credentials of the cluster.",
    "MACHINE_API_URL": "The API for programs, whose requests are signed.",
}


def parse(text: str) -> dict[str, str]:
    """The values of a file's text."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def text(values: Mapping[str, object]) -> str:
    """The text of a file, with a comment over each line that there is one for."""
    return "".join(
        (f"# {COMMENTS[name]}\n" if name in COMMENTS else "") + f"{name}={value}\n"
        for name, value in values.items()
    )


def merge(path: Path, values: Mapping[str, str]) -> None:
    """Write KEY=VALUE lines into a file, over those of the same key; it is made when it is not there."""
    merged = {**(parse(path.read_text()) if path.exists() else {}), **values}
    path.write_text(text(merged))


def chosen(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file to read: the named one; else the demo's, unless the environment says itself which AWS is meant."""
    if file is not None:
        return file
    if any(name.startswith("AWS_") for name in environment) or not OF_DEMO.exists():
        return None
    return OF_DEMO
