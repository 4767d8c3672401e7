"""Daily sales figures, which a Lambda function derives from the events of orders."""
