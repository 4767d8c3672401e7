"""The sign-in and the sign-out."""

from http import HTTPStatus
from typing import Final

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from services.storefront import paths, session
from services.storefront.language import _
from services.storefront.pages.parts import Parts, go_to, page
from services.storefront.ports import SignInRefused

LONGEST: Final = 2048


def add(app: Flask, parts: Parts) -> None:
    """Adds the pages to the application."""

    @app.get("/sign-in")
    def start_sign_in() -> AnyResponse:
        """Leads to the sign-in pages of the user pool."""
        staff = request.args.get("staff") == "1"
        state, verifier = session.begin_sign_in(paths.local(request.args.get("next")), staff=staff)
        return redirect(parts.sign_in.url(state, verifier, staff=staff), HTTPStatus.SEE_OTHER)

    @app.get("/callback")
    def finish_sign_in() -> AnyResponse:
        """Receives the code of the user pool, and starts a session."""
        begun = session.flow(request.args.get("state", "")[:LONGEST])
        code = request.args.get("code", "")[:LONGEST]
        if begun is None or not code:
            return _not_signed_in(paths.HOME if begun is None else begun["back_to"])
        try:
            granted = parts.sign_in.redeem(code, begun["verifier"], staff=begun["staff"])
        except SignInRefused:
            return _not_signed_in(begun["back_to"])
        session.sign_in(granted, parts.baskets)
        return go_to(paths.local(begun["back_to"]))

    @app.post("/sign-out")
    def sign_out() -> AnyResponse:
        """Ends the session in this browser, also at the user pool: otherwise, the next visitor would be signed in without a password."""
        left = session.grant()
        session.sign_out(parts.baskets)
        is_staff = left is not None and "ops:read" in left.scopes
        return redirect(parts.sign_in.leave_url(staff=is_staff), HTTPStatus.SEE_OTHER)


def _not_signed_in(back_to: str) -> Response:
    return page(
        "problem.html",
        HTTPStatus.BAD_REQUEST,
        title=_("You are not signed in"),
        said=_("The sign-in was interrupted, has expired, or was started in another tab. Sign in again."),
        trace_id="",
        sign_in=paths.local(back_to),
    )
