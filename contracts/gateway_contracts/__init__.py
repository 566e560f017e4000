"""The formats and rules that the three programs share."""
