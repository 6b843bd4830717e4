"""The way to Triton: metadata, datatypes, input construction, batching and the client.

Nothing in here knows pluggy or Flask.
"""
