"""Configuration with which the Azure Machine Learning tools deploy an entry script."""

from trihook.generate.azureml.deployment import AssetVersion, Deployment
from trihook.generate.azureml.files import render_files
from trihook.generate.azureml.requirements import Requirement, read_requirements
from trihook.generate.azureml.wheels import pack_wheels
from trihook.generate.writing import write_files

__all__ = [
    "AssetVersion",
    "Deployment",
    "Requirement",
    "pack_wheels",
    "read_requirements",
    "render_files",
    "write_files",
]
