"""The zips that `make functions` builds and the stacks of functions run."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.console import CommandError

BUILT = ROOT / ".dev" / "functions"
# File name without .zip -> the parameter of its stack with the key in the bucket.
PARAMETERS: Mapping[str, str] = {
    "place-order": "PlaceOrderKey",
    "check-inventory": "CheckInventoryKey",
    "sales-summary": "SalesSummaryKey",
    "import-catalogue": "ImportCatalogueKey",
    "watch-stock": "WatchStockKey",
    "authorize-partner": "AuthorizePartnerKey",
}


class NotBuilt(CommandError):
    """The zip of a function is missing; the message says what to run."""


def keys() -> dict[Path, str]:
    """The file of each function -> its key in the bucket, which contains the hash of the file, so that no object is overwritten.

    Raises:
        NotBuilt: when a file is missing.
    """
    files = [BUILT / f"{name}.zip" for name in PARAMETERS]
    if missing := [file.stem for file in files if not file.exists()]:
        raise NotBuilt(f"the code of {', '.join(missing)} is missing: run `make functions`")
    return {
        file: f"functions/{file.stem}/{hashlib.sha256(file.read_bytes()).hexdigest()}.zip" for file in files
    }


def parameters(found: Mapping[Path, str]) -> dict[str, str]:
    """The keys as parameters of the stacks."""
    return {PARAMETERS[file.stem]: key for file, key in found.items()}
