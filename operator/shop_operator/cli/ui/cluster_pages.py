"""The pages of ShopServices."""

from datetime import UTC, datetime
from http import HTTPStatus

from flask import Flask, abort, render_template, request

from shop_operator.cli.errors import NotAllowed, NotValid
from shop_operator.cli.naming import is_name
from shop_operator.cli.ui import reading
from shop_operator.cli.ui.console import FAST, SLOW, Console
from shop_operator.cli.ui.views import network, overview
from shop_operator.cli.ui.views.service import service
from shop_operator.wording import sentence


def add(app: Flask, console: Console) -> None:
    """Add the pages to the application."""

    @app.get("/")
    def show_services() -> str:
        """The table of ShopServices."""
        known = console.fleet.snapshot()
        rows = overview.rows(known.shops.values(), datetime.now(UTC))
        is_loading = known.at is None and not known.trouble
        return render_template("services.html", rows=rows, loading=is_loading, refresh=SLOW)

    @app.get("/graph")
    def show_graph() -> str:
        """The dependency graph."""
        shops = list(console.fleet.snapshot().shops.values())
        drawing = network.drawing(shops)
        return render_template("graph.html", entries=network.entries(shops), drawing=drawing, refresh=SLOW)

    @app.get("/services/<namespace>/<name>")
    def show_service(namespace: str, name: str) -> str:
        """One ShopService."""
        _check_names(namespace, name)
        page = service(reading.found(console.cluster, namespace, name), datetime.now(UTC))
        return render_template("service.html", page=page, refresh=SLOW)

    @app.get("/services/<namespace>/<name>/pods/<pod>/<container>")
    def show_log(namespace: str, name: str, pod: str, container: str) -> str:
        """The log of a container."""
        _check_names(namespace, name, container, *pod.split("."))
        previous, trouble, text = "previous" in request.args, "", ""
        try:
            text = reading.log(console.cluster, namespace, name, pod, container, previous=previous)
        except (NotAllowed, NotValid) as error:
            trouble = sentence(str(error))
        return render_template(
            "log.html",
            namespace=namespace,
            name=name,
            pod=pod,
            container=container,
            text=text,
            unreadable=trouble,
            previous=previous,
            lines=reading.LOG_LINES,
            refresh=0 if previous else FAST,
        )


def _check_names(*names: str) -> None:
    """Reject an invalid name before it becomes part of a URL of the API server."""
    if not all(is_name(each) for each in names):
        abort(HTTPStatus.NOT_FOUND)
