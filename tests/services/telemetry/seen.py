"""Everything that leaves the services of a shop whose output is collected."""

from dataclasses import dataclass, field


@dataclass
class Seen:
    """Texts by where they were seen. `named` has the lines of the log with the names of their processes."""

    log: list[str] = field(default_factory=list)
    named: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
