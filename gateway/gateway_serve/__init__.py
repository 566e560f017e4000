"""The data plane: an ASGI app around the gateway app of MLflow."""
