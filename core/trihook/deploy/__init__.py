"""Registered models, and local services that deploy them."""

from trihook.deploy.listing import used_models
from trihook.deploy.registry import Model, Registry
from trihook.deploy.service import LocalService, print_line, services

__all__ = ["LocalService", "Model", "Registry", "print_line", "services", "used_models"]
