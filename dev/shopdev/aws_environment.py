"""How programs on this machine reach the AWS emulator."""

REGION = "us-east-1"
EMULATOR_PORT = 4566
"""The port that it listens on in a cluster, and on this machine if that port is free."""
EMULATOR_KEY = "test"
"""The emulator's access key, id and secret alike: its owner's."""


def client_environment(endpoint: str) -> dict[str, str]:
    """What any AWS SDK needs in its environment to talk to an emulator at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": EMULATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": EMULATOR_KEY,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
