"""Service level objectives as rules of Prometheus: a pure function from an objective to recording rules and burn-rate alerts.

`burn_rates` has the windows and factors, `queries` the expressions for an indicator, and `rules` the groups of a PrometheusRule.
"""
