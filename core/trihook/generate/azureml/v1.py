"""The JSON files of version 1 of Azure's command line: ``az ml model deploy --ic … --dc …``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trihook.generate.azureml.deployment import Deployment

LOCAL_PORT = 6789
_IMAGE = "mcr.microsoft.com/azureml/tritonserver-inference:latest"
"""Azure's image that starts Triton, at port 8000, on the models of a service."""
_SERVER = "azureml-inference-server-http==1.5.1"
"""What runs the entry script there; the version against which entry scripts are tested."""


def render_v1(deployment: Deployment, pip: Sequence[str]) -> dict[str, str]:
    """Return the inference configuration and the deployment configurations by file name.

    ``pip`` are the lines of a requirements file.
    """
    files = {
        "inferenceconfig.json": _inference_config(deployment, pip),
        "deploymentconfig.json": {"computeType": "local", "port": LOCAL_PORT},
        "deploymentconfig-aks.json": _aks(),
    }
    return {name: json.dumps(value, indent=2) + "\n" for name, value in files.items()}


def _inference_config(deployment: Deployment, pip: Sequence[str]) -> dict[str, Any]:
    return {
        "entryScript": deployment.entry_script,
        "sourceDirectory": ".",
        "environment": {
            "name": deployment.name,
            "version": "1",
            "environmentVariables": {"TRIHOOK_TRITON_URL": "localhost:8000"},
            "docker": {
                "enabled": True,
                "baseImage": _IMAGE,
                "baseDockerfile": None,
                "arguments": [],
                "sharedVolumes": True,
                "shmSize": "2g",
            },
            "python": {
                "interpreterPath": "python",
                "userManagedDependencies": False,
                "condaDependenciesFile": None,
                "baseCondaEnvironment": None,
                "condaDependencies": {
                    "name": deployment.name,
                    "channels": ["conda-forge"],
                    "dependencies": [
                        f"python={deployment.python}",
                        "pip",
                        {"pip": [*pip, _SERVER]},
                    ],
                },
            },
        },
    }


def _aks() -> dict[str, Any]:
    """Return a service of one replica with one GPU on Azure's Kubernetes."""
    return {
        "computeType": "aks",
        "autoScaler": {
            "autoscaleEnabled": False,
            "minReplicas": 1,
            "maxReplicas": 1,
            "refreshPeriodInSeconds": 10,
            "targetUtilization": 70,
        },
        "dataCollection": {"storageEnabled": False},
        "authEnabled": True,
        "containerResourceRequirements": {"cpu": 2, "memoryInGB": 8},
        "gpuCores": 1,
        "scoringTimeoutMs": 60000,
        "maxConcurrentRequestsPerContainer": 16,
        "maxQueueWaitMs": 5000,
        "numReplicas": 1,
        "livenessProbeRequirements": {
            "initialDelaySeconds": 300,
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "successThreshold": 1,
            "failureThreshold": 30,
        },
    }
