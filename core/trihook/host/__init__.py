"""The scoring host: HTTP in front of the pipeline, under Flask and Gunicorn."""
