"""The one way to a model for every studio: routing, balance, fallback, cache, flags and figures."""
