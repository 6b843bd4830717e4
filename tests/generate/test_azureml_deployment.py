"""Names and versions that Azure would refuse are refused before anything is written."""

import pytest
from trihook import ConfigError
from trihook.generate.azureml import AssetVersion, Deployment

BIDAF = AssetVersion("bidaf_onnx", 1)
DENSENET = AssetVersion("densenet_onnx", 2)


def deployment(name="triton-bidaf", models=(BIDAF,), entry_script="score.py"):
    return Deployment(name, tuple(models), entry_script, "../models", "3.11")


def test_a_model_is_read_as_name_and_version():
    assert AssetVersion.parse("bidaf_onnx:12") == AssetVersion("bidaf_onnx", 12)
    assert str(AssetVersion("bidaf_onnx", 12)) == "bidaf_onnx:12"


@pytest.mark.parametrize(
    "text", ["bidaf", "bidaf:", "bidaf:0", "bidaf:-1", "bidaf:one", "bidaf:1.0"]
)
def test_a_version_that_is_no_positive_number_is_refused(text):
    with pytest.raises(ConfigError, match=rf"model '{text}': expected NAME:VERSION"):
        AssetVersion.parse(text)


@pytest.mark.parametrize("text", [":1", "a b:1", "../models:1", "_a:1", "a" * 256 + ":1"])
def test_a_model_name_that_azure_refuses_is_refused(text):
    with pytest.raises(ConfigError, match="expected a name of letters, digits"):
        AssetVersion.parse(text)


@pytest.mark.parametrize("name", ["ab", "Bidaf", "1bidaf", "bidaf-", "bi_daf", "b" * 33, "a\nb: c"])
def test_a_service_name_that_azure_refuses_is_refused(name):
    with pytest.raises(ConfigError, match="Azure wants 3 to 32 lower-case letters"):
        deployment(name)


@pytest.mark.parametrize("name", ["abc", "b" * 32, "triton-densenet-onnx"])
def test_a_service_name_that_azure_takes_is_taken(name):
    assert deployment(name).name == name


@pytest.mark.parametrize("script", ["score.txt", "my score.py", '"\n.py', "score"])
def test_an_entry_script_whose_name_needs_quotes_is_refused(script):
    with pytest.raises(ConfigError, match=r"expected a file called NAME\.py"):
        deployment(entry_script=script)


def test_a_deployment_has_models_and_each_once():
    with pytest.raises(ConfigError, match="'triton-bidaf' has no model"):
        deployment(models=())
    with pytest.raises(ConfigError, match="'bidaf_onnx' is named twice"):
        deployment(models=(BIDAF, AssetVersion("bidaf_onnx", 2)))


def test_one_model_is_the_asset_and_several_are_one_in_the_services_name():
    assert deployment().asset == BIDAF
    assert deployment(models=(BIDAF, DENSENET)).asset == AssetVersion("triton-bidaf", 1)
