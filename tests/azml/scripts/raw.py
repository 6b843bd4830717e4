"""Takes the request itself, and tells what it finds in it."""

from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request, request_headers):
    if request.args.get("do") == "fail":
        raise ValueError("a secret")
    if request.args.get("do") == "json":
        return request.get_json()
    if request.args.get("do") == "bytes":
        return AMLResponse(request.get_data(), 200, {"Content-Type": "application/x-own"})
    return {
        "method": request.method,
        "path": request.full_path,
        "form": request.form,
        "files": {name: len(file.read()) for name, file in request.files.items()},
        "length": len(request.get_data()),
        "header": [request.headers.get("X-Given"), request_headers.get("X-Given")],
        "type": type(request_headers).__name__,
        "named": isinstance(request, AMLRequest),
    }
