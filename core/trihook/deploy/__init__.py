"""Registered models, and local services that deploy them."""

from trihook.deploy.listing import used_models
from trihook.deploy.registry import Model, Registry
from trihook.deploy.service import LocalService
from trihook.deploy.waiting import print_line

__all__ = ["LocalService", "Model", "Registry", "print_line", "used_models"]
