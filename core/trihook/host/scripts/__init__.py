"""The host of entry scripts: it runs any script that Azure's inference server runs, alike.

The behaviour is that of ``azureml-inference-server-http`` 1.5, measured; where it differs on
purpose, ``docs/entry-scripts.md`` says so and a test holds the list.
"""
