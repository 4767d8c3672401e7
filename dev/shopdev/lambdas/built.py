"""The functions' code between `make functions`, which builds it, and the stacks that run it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from shopdev.checkout import ROOT
from shopdev.console import CommandError

BUILT = ROOT / ".dev" / "functions"
# File name without .zip -> the parameter of its stack that says where in the bucket it is.
PARAMETERS: Mapping[str, str] = {
    "place-order": "PlaceOrderKey",
    "check-inventory": "CheckInventoryKey",
    "sales-summary": "SalesSummaryKey",
    "import-catalogue": "ImportCatalogueKey",
    "watch-stock": "WatchStockKey",
    "authorize-partner": "AuthorizePartnerKey",
}


class NotBuilt(CommandError):
    """A function's code is missing; the message says what to run."""


def keys() -> dict[Path, str]:
    """Each function's file, and its name in the bucket: that of its content, so that nothing is overwritten.

    Raises:
        NotBuilt: when one is missing.
    """
    files = [BUILT / f"{name}.zip" for name in PARAMETERS]
    if missing := [file.stem for file in files if not file.exists()]:
        raise NotBuilt(f"the code of {', '.join(missing)} is missing: run `make functions`")
    return {
        file: f"functions/{file.stem}/{hashlib.sha256(file.read_bytes()).hexdigest()}.zip" for file in files
    }


def parameters(found: Mapping[Path, str]) -> dict[str, str]:
    """The same as parameters of their stacks."""
    return {PARAMETERS[file.stem]: key for file, key in found.items()}
