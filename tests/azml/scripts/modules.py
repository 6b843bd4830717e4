"""Imports modules of its own that have the names of a server's, and tells where it runs."""

import os
import sys

import beside
import utils
from sourced import SOURCED


def init():
    pass


def run(data):
    if data == "paths":
        return {"beside": beside.WHO, "sourced": SOURCED, "model": os.environ["AZUREML_MODEL_DIR"]}
    if data == "module":
        return {"module": __name__, "main": "__main__" in sys.modules}
    return utils.WHO
