"""The model as it is built from the committed weights, and a way to ask it."""

import numpy as np
import onnxruntime
import pytest
from trihook import Item, Model, TensorSpec
from trihook_bidaf import build
from trihook_bidaf import hooks as bidaf
from trihook_nltk import hooks as nltk

DATATYPES = {"tensor(string)": "BYTES", "tensor(int32)": "INT32"}


def spec(value):
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(value.name, DATATYPES[value.type], shape)


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    """Build the model repository once and give the model's file."""
    return build.build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def session(path):
    """Load the model as Triton's ONNX backends do."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


@pytest.fixture(scope="session")
def model(session):
    """Describe the model as Triton's metadata does."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return Model("bidaf_onnx", "1", tuple(map(spec, inputs)), tuple(map(spec, outputs)))


@pytest.fixture(scope="session")
def reply(session, model):
    """Give a function from a context and a query to the plugin's reply."""

    def ask(context, query):
        item = Item({"context": context, "query": query})
        tensors = nltk.preprocess(item=item, model=model)
        names = [output.name for output in model.outputs]
        outputs = dict(zip(names, session.run(names, tensors), strict=True))
        return bidaf.postprocess(outputs=outputs, item=item, model=model)

    return ask


@pytest.fixture(scope="session")
def strings():
    """Give a function from words to the model's tensors for one of its texts."""

    def make(name, words):
        cells = [[*word[:16], *[""] * (16 - len(word))] for word in words]
        lower = np.array([word.lower() for word in words], dtype=object)
        return {
            f"{name}_word": lower.reshape(-1, 1),
            f"{name}_char": np.array(cells, dtype=object).reshape(-1, 1, 1, 16),
        }

    return make
