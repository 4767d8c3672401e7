"""The reason why pods do not become ready.

`pods` derives it from the pods, with `pull` for images, `probes` for probes and `log` for the end of a log; `templates` selects the
pods. All of these are pure. `reader` requests the pods from the API server.
"""

from shop_operator.status.diagnosis.findings import RANKED, Diagnosis
from shop_operator.status.diagnosis.log import last_line
from shop_operator.status.diagnosis.pods import diagnosis
from shop_operator.status.diagnosis.probes import probe_answer
from shop_operator.status.diagnosis.pull import DEFINITE_PULL_FAILURES, PULL, pull_failure
from shop_operator.status.diagnosis.templates import of_newest

__all__ = [
    "DEFINITE_PULL_FAILURES",
    "PULL",
    "RANKED",
    "Diagnosis",
    "diagnosis",
    "last_line",
    "of_newest",
    "probe_answer",
    "pull_failure",
]
