"""The order service's API as the function `place-order` of AWS Lambda; see `services.common.http.function`."""

from services.common.http import function
from services.order import app

handler = function.http(app.create_app())
