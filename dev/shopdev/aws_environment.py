"""How programs on this machine reach the AWS emulator."""

REGION = "us-east-1"
EMULATOR_PORT = 4566
"""The port of the emulator in a cluster, and on this machine if it is free."""
EMULATOR_KEY = "test"
"""The id and the secret of the access key of the emulator's owner."""


def client_environment(endpoint: str) -> dict[str, str]:
    """The environment with which an AWS SDK uses the emulator at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": EMULATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": EMULATOR_KEY,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
