"""The order service's API as the function `place-order` of AWS Lambda; see `services.common.function`."""

from services.common import function
from services.order import app

handler = function.http(app.create_app())
