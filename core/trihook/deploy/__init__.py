"""Registered models, and local services that deploy them."""

from trihook.deploy.registry import Model, Registry

__all__ = ["Model", "Registry"]
