"""A plugin and a small stand-in model that answer questions about a text."""
