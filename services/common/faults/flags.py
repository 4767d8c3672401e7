"""The faults as boolean flags of OpenFeature (https://openfeature.dev), evaluated in this process.

The flags follow the switchboard, as `remembered` knows it.
"""

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from services.common.faults.remembered import Remembered
from services.common.faults.switches import Fault, Switchboard

# The domain that binds the flags to their provider.
DOMAIN = "faults"
ON, OFF = "on", "off"


class FlaggedFaults:
    """The faults, as `switches.Faults`, evaluated by OpenFeature's in-memory provider.

    Args:
        switchboard: switches of all faults.
        domain: domain of the provider.
    """

    def __init__(self, switchboard: Switchboard, domain: str = DOMAIN) -> None:
        remembered = Remembered(switchboard)

        def evaluate(fault: Fault) -> FlagResolutionDetails[bool]:
            variant = ON if fault in remembered.on() else OFF
            return FlagResolutionDetails(variant == ON, reason=Reason.CACHED, variant=variant)

        def flag(fault: Fault) -> InMemoryFlag[bool]:
            def evaluated(
                _flag: InMemoryFlag[bool], _context: EvaluationContext
            ) -> FlagResolutionDetails[bool]:
                return evaluate(fault)

            return InMemoryFlag(OFF, {ON: True, OFF: False}, context_evaluator=evaluated)

        api.set_provider_and_wait(InMemoryProvider({fault.value: flag(fault) for fault in Fault}), domain)
        self._client = api.get_client(domain)

    def is_on(self, fault: Fault) -> bool:
        """As `switches.Faults.is_on`."""
        return self._client.get_boolean_value(fault.value, default_value=False)
