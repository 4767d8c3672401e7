"""Files of KEY=VALUE lines, such as .dev/env, in which `make demo` and `make dev` store settings for the commands in dev/."""

from collections.abc import Mapping
from pathlib import Path

from shopdev.checkout import ROOT

OF_DEMO = ROOT / ".dev" / "env"
COMMENTS: Mapping[str, str] = {
    "API_URL": "The API of the shop for customers, through API Gateway.",
    "AWS_ENDPOINT_URL": "The AWS emulator. Without this line, the commands use AWS.",
    "COGNITO_AUTHORIZE_URL": "The page on which a sign-in begins.",
    "COGNITO_ISSUER": "The `iss` of the tokens: a name that need not be reachable.",
    "COGNITO_OPS_CLIENT_ID": "App client of operators.",
    "COGNITO_TOKEN_URL": "The endpoint that exchanges a code for a token.",
    "COGNITO_USER_POOL_ID": "The user pool of the shop.",
    "COGNITO_WEB_CLIENT_ID": "App client of customers.",
    "KUBECONFIG": "The credentials of the cluster.",
    "MACHINE_API_URL": "The API for machines, which sign their requests.",
}


def parse(text: str) -> dict[str, str]:
    """Parse the text of a file."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def text(values: Mapping[str, object]) -> str:
    """The text of a file, with a comment above each known variable."""
    return "".join(
        (f"# {COMMENTS[name]}\n" if name in COMMENTS else "") + f"{name}={value}\n"
        for name, value in values.items()
    )


def merge(path: Path, values: Mapping[str, str]) -> None:
    """Write KEY=VALUE lines into a file and replace those with the same key; create the file if it does not exist."""
    merged = {**(parse(path.read_text()) if path.exists() else {}), **values}
    path.write_text(text(merged))


def chosen(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file to read: the named one, or that of the demo unless the environment has AWS_ variables."""
    if file is not None:
        return file
    if any(name.startswith("AWS_") for name in environment) or not OF_DEMO.exists():
        return None
    return OF_DEMO
