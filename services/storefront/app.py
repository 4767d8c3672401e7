"""The object graph of the storefront."""

from flask import Flask

from services.common.telemetry import logs
from services.storefront.cognito import CognitoSignIn
from services.storefront.config import Settings
from services.storefront.pages import site
from services.storefront.shop_api import ApiCatalog, ApiFaults, ApiOrders, ApiStaff

# A service may need seconds for its queues, and staff waits for the result.
STAFF_SECONDS = 15.0


def create_app() -> Flask:
    """The pages as a WSGI application, from the environment.

    Raises:
        SystemExit: a setting is missing or invalid.
    """
    settings = Settings.load()
    logs.configure(settings.service, settings.log_level)
    sign_in = CognitoSignIn(
        authorize_url=settings.authorize_url,
        token_url=settings.token_url,
        callback=f"{settings.public_url}/callback",
        home=f"{settings.public_url}/",
        web_client=settings.web_client_id,
        ops_client=settings.ops_client_id,
        timeout=settings.api_seconds,
    )
    return site.create(
        settings,
        ApiCatalog(settings.api_url, settings.api_seconds),
        ApiOrders(settings.api_url, settings.api_seconds),
        ApiStaff(settings.api_url, STAFF_SECONDS),
        sign_in,
        ApiFaults(settings.faults_url, settings.api_seconds) if settings.faults_url else None,
    )
