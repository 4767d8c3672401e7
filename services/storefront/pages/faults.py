"""The fault switchboard of a demo. Without a switchboard in the settings, its page does not exist."""

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from services.common.faults.remembered import Remembered
from services.common.faults.switches import Fault
from services.common.values.errors import NotFound
from services.storefront import paths, session
from services.storefront.experiments import Experiment, experiments
from services.storefront.pages.parts import go_to, page
from services.storefront.ports import Switches

PATH = "/faults"


def add(app: Flask, switches: Switches) -> None:
    """Adds the page to the application, and the names of the faults that are on to every page."""
    remembered = Remembered(switches)
    app.context_processor(lambda: {"switchboard": PATH, "faults_on": _described(remembered.on())})

    @app.get(PATH)
    def show_faults() -> Response:
        """All faults, which of them are on, and what a visitor will see."""
        return page("faults.html", experiments=experiments(), on=switches.on())

    @app.post(f"{PATH}/<key>/on")
    def turn_on(key: str) -> AnyResponse:
        """Switches a fault on."""
        switches.turn_on(session.required().token, _known(key))
        return go_to(PATH)

    @app.post(f"{PATH}/<key>/off")
    def turn_off(key: str) -> AnyResponse:
        """Switches a fault off."""
        switches.turn_off(session.required().token, _known(key))
        return go_to(PATH)

    @app.post(f"{PATH}/off")
    def undo_all() -> AnyResponse:
        """Switches all faults off, and returns to the page with the button: that of an order shows how the shop heals."""
        switches.undo_all(session.required().token)
        return go_to(paths.local(request.form.get("back_to", PATH)))


def _known(key: str) -> Fault:
    try:
        return Fault(key)
    except ValueError:
        raise NotFound(f"there is no fault {key}") from None


def _described(on: frozenset[Fault]) -> list[Experiment]:
    return [experiment for experiment in experiments() if experiment.fault in on]
