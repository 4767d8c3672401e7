"""The release that a pass applies: that of the spec or, after an automatic rollback, the last available one."""

from dataclasses import dataclass, replace

from shop_operator.errors import InvalidSpec
from shop_operator.objects.lenient import mapping
from shop_operator.reconcile.observation import Observation
from shop_operator.reconcile.passes import Pass
from shop_operator.render.configuration import Configuration
from shop_operator.render.prepare import Facts, Prepared, prepare
from shop_operator.status.rollback import Release, last_good, records, release, rolls_back


@dataclass(frozen=True)
class Chosen:
    """The desired state that a pass applies.

    Attributes:
        prepared: the desired state.
        release: the release of the spec, with automatic rollback; None if it is unknown.
        unrestored: the reason why the last available release does not replace a rejected one; empty if nothing prevents it.
    """

    prepared: Prepared
    release: Release | None = None
    unrestored: str = ""


def chosen(this: Pass, facts: Facts, observation: Observation) -> Chosen:
    """Prepare the release of the spec, or the last available one if the release of the spec was rejected.

    Raises:
        InvalidSpec: the spec cannot be rendered.
    """
    shop, config = this.shop, facts.configuration
    prepared = prepare(shop, facts)
    if prepared.around.hold or not rolls_back(shop):
        return Chosen(prepared)
    asked = _release(this, facts, prepared)
    found = Chosen(prepared, None if config is None else asked)
    rollout = mapping(shop.status.get("rollout"))
    spec_changed = shop.status.get("observedGeneration") != shop.generation
    good = last_good(shop, rollout) if asked.rejected_by(rollout, spec_changed=spec_changed) else None
    if good is None:
        return found
    try:
        restored = observation.restored(this, facts, good, records(rollout, prepared.around.records))
        return replace(found, prepared=prepare(shop, restored))
    except InvalidSpec as error:
        return replace(found, unrestored=error.message)


def _release(this: Pass, facts: Facts, prepared: Prepared) -> Release:
    # Configuration that cannot be read identifies a release no better than configuration that does not exist.
    config = facts.configuration or Configuration()
    existing = frozenset(this.depends.ports if this.depends else ())
    part_of = {name: live.part_of for name, live in facts.deployments.items() if live.part_of is not None}
    return release(this.shop, prepared.desired, config, prepared.around, existing, part_of)
