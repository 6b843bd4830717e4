"""A distribution with a plugin that works, for its author to put in what theirs does."""

from trihook.generate.plugin.files import render_plugin

__all__ = ["render_plugin"]
