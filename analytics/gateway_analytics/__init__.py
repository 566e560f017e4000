"""Requests and costs, answered from the log store."""
