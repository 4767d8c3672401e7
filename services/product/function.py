"""The product service's API as the function `check-inventory` of AWS Lambda; see `services.common.http.function`."""

from services.common.http import function
from services.product import app

handler = function.http(app.create_app())
