"""What is sent is what Triton reads; a reply that is not exactly right is never an array."""

import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from trihook import RequestedOutput, TritonError
from trihook.testing import FakeTriton, make_model
from trihook.triton.answers import Answer
from trihook.triton.client import TritonClient
from trihook.triton.dtypes import BF16, DTYPES, round_bf16
from trihook.triton.shared_memory import Region
from trihook.triton.wire import decode_reply, encode_request, shareable_size
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

MODEL = make_model(inputs=["x FP32 [2]"], outputs=["y FP32 [2]", "n INT32 [?]"], max_batch_size=8)
Y = np.array([[1.5, -2.0], [3.0, 4.0]], "f4")
N = np.array([[1, 2, 3], [4, 5, 6]], "i4")


def _entry(name, array, datatype, **more):
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(array.shape),
        "parameters": {"binary_data_size": array.nbytes},
        **more,
    }


def _reply(outputs=None, *, buffer=None, **more):
    """Return a reply's body and the length of its header; right unless told otherwise."""
    entries = [_entry("y", Y, "FP32"), _entry("n", N, "INT32")] if outputs is None else outputs
    header = {"model_name": "model", "model_version": "3", "id": "r", "outputs": entries, **more}
    head = orjson.dumps(header)
    return head + (Y.tobytes() + N.tobytes() if buffer is None else buffer), len(head)


class _Scripted(TritonClient):
    """A client whose Triton always gives one answer."""

    def __init__(self, body, header_length):
        super().__init__("fake.invalid:8000")
        self._answer = Answer(200, body, header_length)

    def request(self, *args, **kwargs):
        return self._answer


def _infer(body, header_length, *, outputs=(), rows=2, model=MODEL, request_id="r"):
    """Return what an inference with this answer gives."""
    tensors = {"x": [np.zeros((rows, 2), "f4")]}
    client = _Scripted(body, header_length)
    return client.infer(model, tensors, outputs=outputs, request_id=request_id, rows=rows)


def test_a_right_reply_is_read():
    tensors, version = _infer(*_reply())
    assert version == "3"
    assert list(tensors) == ["y", "n"]
    np.testing.assert_array_equal(tensors["y"], Y)
    np.testing.assert_array_equal(tensors["n"], N)


def test_outputs_are_read_only():
    for array in _infer(*_reply())[0].values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_an_output_without_rows_is_read():
    model = make_model(inputs=["x FP32 [2]"], outputs=["n INT32 [?]"])
    entry = _entry("n", N[:, :0], "INT32", shape=[0])
    tensors, _ = _infer(*_reply([entry], buffer=b""), rows=0, model=model)
    assert tensors["n"].shape == (0,)


def _with(index, **changes):
    entries = [_entry("y", Y, "FP32"), _entry("n", N, "INT32")]
    entries[index] = {**entries[index], **changes}
    return entries


def _without(index, key):
    entries = _with(index)
    del entries[index][key]
    return entries


def _sized(index, size):
    return _with(index, parameters={"binary_data_size": size})


BODY, LENGTH = _reply()
CORRUPT = {
    "another id": _reply(id="q"),
    "no id": _reply(id=""),
    "id of another kind": _reply(id=["r"]),
    "an output is missing": _reply(_with(0)[:1], buffer=Y.tobytes()),
    "no outputs": _reply([], buffer=b""),
    "outputs of another kind": _reply({"y": 1}),
    "outputs are null": (orjson.dumps({"id": "r", "outputs": None}), None),
    "an output of another kind": _reply(["y"]),
    "an undeclared output": _reply([*_with(0), _entry("z", Y, "FP32")],
                                   buffer=Y.tobytes() + N.tobytes() + Y.tobytes()),
    "an output twice": _reply([*_with(0), _entry("y", Y, "FP32")],
                              buffer=Y.tobytes() + N.tobytes() + Y.tobytes()),
    "another datatype": _reply(_with(0, datatype="INT32")),
    "an unknown datatype": _reply(_with(0, datatype="FP8")),
    "no datatype": _reply(_without(0, "datatype")),
    "fewer rows": _reply(_with(0, shape=[1, 2], parameters={"binary_data_size": 8}),
                         buffer=Y[:1].tobytes() + N.tobytes()),
    "more rows": _reply(_with(0, shape=[4, 1])),
    "another shape": _reply(_with(0, shape=[2, 1, 2])),
    "a flat shape": _reply(_with(0, shape=[4])),
    "a shape that its data lacks": _reply(_with(0, shape=[2, 3])),
    "a negative shape": _reply(_with(1, shape=[2, -1])),
    "two negative sizes": _reply(_with(1, shape=[-2, -3])),
    "no shape": _reply(_without(0, "shape")),
    "a shape of another kind": _reply(_with(0, shape="22")),
    "a shape of fractions": _reply(_with(0, shape=[2.0, 2.0])),
    "a size beyond the buffer": _reply(_sized(1, N.nbytes + 4)),
    "a size far beyond": _reply(_sized(1, 2**62)),
    "a size too small": _reply(_sized(0, Y.nbytes - 4)),
    "a negative size": _reply(_sized(1, -4), buffer=Y.tobytes() + N.tobytes() + bytes(4)),
    "a size of another kind": _reply(_sized(0, "16")),
    "a fraction as size": _reply(_sized(0, 16.0)),
    "parameters of another kind": _reply(_with(0, parameters=[16])),
    "neither size nor data": _reply(_without(0, "parameters")),
    "more bytes than declared": (BODY + b"\0", LENGTH),
    "fewer bytes than declared": (BODY[:-1], LENGTH),
    "no bytes": (BODY[:LENGTH], LENGTH),
    "no body": (b"", None),
    "an empty header": (BODY, 0),
    "a header cut short": (BODY, LENGTH - 1),
    "a header that is too long": (BODY, LENGTH + 1),
    "a header beyond the body": (BODY, len(BODY) + 1),
    "a negative header": (BODY, -len(BODY) + LENGTH),
    "no header length": (BODY, None),
    "no json": (b"<html>" + BODY[6:], LENGTH),
    "a list": (b"[]", 2),
    "null": (b"null", None),
    "a number": (b"3", None),
    "a text": (b'"outputs"', None),
}  # fmt: skip


@pytest.mark.parametrize("corruption", CORRUPT)
def test_a_corrupt_reply_is_tritons_error(corruption):
    body, length = CORRUPT[corruption]
    with pytest.raises(TritonError, match="not what the model declares"):
        _infer(body, length)


@given(st.data())
def test_a_reply_with_any_bytes_changed_is_right_or_tritons_error(data):
    at = data.draw(st.integers(0, LENGTH - 1))
    body = bytearray(BODY)
    body[at : at + 1] = data.draw(st.binary(max_size=2))
    try:
        tensors, _ = _infer(bytes(body), LENGTH)
    except TritonError:
        return
    assert [tensors[name].shape for name in ("y", "n")] == [(2, 2), (2, 3)]
    np.testing.assert_array_equal(tensors["y"], Y)
    np.testing.assert_array_equal(tensors["n"], N)


@pytest.mark.parametrize("end", range(0, len(BODY), 7))
def test_a_reply_that_is_cut_off_is_tritons_error(end):
    with pytest.raises(TritonError):
        _infer(BODY[:end], LENGTH)


# texts

TEXT = make_model(inputs=["x FP32 [2]"], outputs=["t BYTES [2]"])


def _text_reply(buffer, shape=(2,)):
    entry = {"name": "t", "datatype": "BYTES", "shape": list(shape),
             "parameters": {"binary_data_size": len(buffer)}}  # fmt: skip
    return _reply([entry], buffer=buffer)


def test_texts_are_read_to_the_last_nul():
    buffer = struct.pack("<I", 2) + b"a\0" + struct.pack("<I", 0)
    tensors, _ = _infer(*_text_reply(buffer), rows=0, model=TEXT)
    assert tensors["t"].tolist() == [b"a\0", b""]


@pytest.mark.parametrize(
    "buffer",
    [
        b"",
        b"\1\0\0",
        struct.pack("<I", 9) + b"ab",
        struct.pack("<I", 2**32 - 1) + b"ab",
        struct.pack("<I", 1) + b"a",
        (struct.pack("<I", 1) + b"a") * 3,
    ],
)
def test_texts_that_are_cut_off_or_miscounted_are_tritons_error(buffer):
    with pytest.raises(TritonError):
        _infer(*_text_reply(buffer), rows=0, model=TEXT)


@pytest.mark.parametrize("datatype", ["BYTES", "BF16"])
def test_outputs_that_are_copies_are_read_only_too(datatype):
    model = make_model(inputs=[f"x {datatype} [1]"], outputs=[f"y {datatype} [1]"])
    fake = FakeTriton([model], lambda model, inputs: {"y": inputs["x"]})
    value = np.array([b"a" if datatype == "BYTES" else 1.0], DTYPES[datatype])
    outputs, _ = fake.infer(model, {"x": [value]})
    with pytest.raises(ValueError, match="read-only"):
        outputs["y"][0] = value[0]


# classifications

TOP = (RequestedOutput("y", class_count=2),)


def _classes(texts, shape):
    buffer = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    entry = {"name": "y", "datatype": "BYTES", "shape": shape,
             "parameters": {"binary_data_size": len(buffer)}}  # fmt: skip
    return _reply([entry], buffer=buffer)


@pytest.mark.parametrize("count", [1, 2])
def test_a_classification_is_texts_whatever_the_output_declares(count):
    texts = [b"0.5:1:cat"] * 2 * count
    tensors, _ = _infer(*_classes(texts, [2, count]), outputs=TOP)
    assert tensors["y"].tolist() == [[b"0.5:1:cat"] * count] * 2


@pytest.mark.parametrize("shape", [[1, 2], [2], [2, 1, 1], [3, 2], [2, 3], [6, 1]])
def test_a_classification_of_another_shape_is_tritons_error(shape):
    with pytest.raises(TritonError):
        _infer(*_classes([b"0.5:1"] * int(np.prod(shape)), shape), outputs=TOP)


def test_a_classification_that_is_no_text_is_tritons_error():
    with pytest.raises(TritonError):
        _infer(*_reply([_entry("y", Y, "FP32")], buffer=Y.tobytes()), outputs=TOP)


def test_only_the_outputs_asked_for_may_come():
    wanted = (RequestedOutput("n"),)
    entry = _entry("n", N, "INT32")
    assert list(_infer(*_reply([entry], buffer=N.tobytes()), outputs=wanted)[0]) == ["n"]
    with pytest.raises(TritonError):
        _infer(*_reply(), outputs=wanted)


# tensors in JSON


def _data_reply(datatype, shape, data):
    model = make_model(inputs=["x FP32 [2]"], outputs=[f"y {datatype} [{len(data)}]"])
    entry = {"name": "y", "datatype": datatype, "shape": shape, "data": data}
    return orjson.dumps({"id": "r", "outputs": [entry]}), None, model


@pytest.mark.parametrize("datatype", DTYPES)
def test_data_in_json_is_read_in_its_datatype(datatype):
    data = {"BOOL": [True, False], "BYTES": ["a", "ö"]}.get(datatype, [1, 2])
    body, length, model = _data_reply(datatype, [2], data)
    tensor = _infer(body, length, rows=0, model=model)[0]["y"]
    assert tensor.dtype == DTYPES[datatype]
    expected = [text.encode() for text in data] if datatype == "BYTES" else data
    assert tensor.tolist() == expected


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("UINT8", [256]),
        ("UINT8", [-1]),
        ("INT32", [1.5]),
        ("INT32", ["1"]),
        ("INT64", [2**63]),
        ("FP32", ["1"]),
        ("FP32", [None]),
        ("FP32", [1e300]),
        ("BOOL", [1]),
        ("BYTES", [1]),
        ("BYTES", [None]),
        ("FP32", [[1], [2, 3]]),
        ("FP32", {"a": 1}),
    ],
)
def test_data_in_json_that_is_not_of_its_datatype_is_tritons_error(datatype, data):
    body, length, model = _data_reply(datatype, [len(data)], data)
    with pytest.raises(TritonError):
        _infer(body, length, rows=0, model=model)


# requests, as the fake Triton reads them


@st.composite
def _arrays(draw, datatype, pieces=1):
    """Draw arrays of a datatype that have one shape but for their first dimension."""
    first, *rest = draw(arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    lengths = [first, *(draw(st.integers(0, 3)) for _ in range(pieces - 1))]
    elements = {
        "BYTES": st.binary(max_size=4),
        "BF16": st.floats(-(2.0**99), 2.0**99, width=32),
    }.get(datatype)
    return [
        (round_bf16 if datatype == "BF16" else np.asarray)(
            draw(
                arrays.arrays(
                    DTYPES[datatype], (length, *rest), elements=elements, fill=st.nothing()
                )
            )
        )
        for length in lengths
    ]


def _model_of(datatype, array):
    sizes = ", ".join("?" for _ in array.shape)
    return make_model(inputs=[f"x {datatype} [{sizes}]"], outputs=[f"y {datatype} [{sizes}]"])


@given(st.data(), st.sampled_from(list(DTYPES)))
def test_what_is_sent_is_what_triton_reads(data, datatype):
    [array] = data.draw(_arrays(datatype))
    fake = FakeTriton([model := _model_of(datatype, array)], lambda _, inputs: {"y": inputs["x"]})
    outputs, _ = fake.infer(model, {"x": [array]}, request_id="größe")
    for seen in (fake.inferences[0]["x"], outputs["y"]):
        assert (seen.dtype, seen.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(seen, array)


@given(st.data(), st.sampled_from(list(DTYPES)), st.integers(1, 4), st.booleans())
def test_what_is_sent_is_what_tritonclient_would_send(data, datatype, count, ask):
    pieces = data.draw(_arrays(datatype, count))
    whole = np.concatenate(pieces)
    wanted = (RequestedOutput("y", 2),) if ask else ()
    buffers, length = encode_request({"x": pieces}, _model_of(datatype, whole), wanted, "id")
    theirs = InferInput("x", list(whole.shape), datatype)
    theirs.set_data_from_numpy(whole.astype(BF16) if datatype == "BF16" else whole)
    asked = [InferRequestedOutput("y", class_count=2)] if ask else None
    body, head = InferenceServerClient.generate_request_body([theirs], asked, request_id="id")
    head = len(body) if head is None else head
    assert orjson.loads(buffers[0]) == orjson.loads(body[:head])
    assert b"".join(buffers)[length:] == body[head:]


def test_an_array_is_sent_as_it_lies_in_memory():
    array = np.arange(6, dtype="f4").reshape(1, 6)
    model = make_model(inputs=["x FP32 [6]"], outputs=["y FP32 [6]"], max_batch_size=8)
    [_, data], _ = encode_request({"x": [array]}, model, (), "")
    assert np.shares_memory(np.frombuffer(data, np.uint8), array)


def test_bf16_is_two_bytes_a_value():
    model = make_model(inputs=["x BF16 [3]"], outputs=["y FP32 [1]"])
    [_, data], _ = encode_request({"x": [np.array([1, 2, 3], "f4")]}, model, (), "")
    assert np.frombuffer(data, BF16).tolist() == [1, 2, 3]


def test_inputs_that_were_left_out_are_not_sent():
    model = make_model(inputs=["a FP32 [1]", "b FP32 [1]"], outputs=["y FP32 [1]"])
    [head, _], _ = encode_request({"b": [np.zeros(1, "f4")]}, model, (), "id")
    header = orjson.loads(head)
    assert [entry["name"] for entry in header["inputs"]] == ["b"]
    assert header["id"] == "id"


def test_all_outputs_are_asked_for_in_binary():
    [head, _], length = encode_request({"x": [np.zeros((1, 2), "f4")]}, MODEL, (), "")
    assert len(head) == length
    assert orjson.loads(head)["parameters"] == {"binary_data_output": True}


def test_outputs_are_asked_for_by_name_with_their_classes():
    wanted = (RequestedOutput("y", class_count=3), RequestedOutput("n"))
    [head, _], _ = encode_request({"x": [np.zeros((1, 2), "f4")]}, MODEL, wanted, "")
    assert orjson.loads(head)["outputs"] == [
        {"name": "y", "parameters": {"classification": 3, "binary_data": True}},
        {"name": "n", "parameters": {"binary_data": True}},
    ]


def test_the_version_is_unknown_where_triton_does_not_say():
    body, length = _reply(_with(0))
    header = orjson.loads(body[:length])
    del header["model_version"]
    head = orjson.dumps(header)
    assert decode_reply(head + body[length:], len(head), MODEL, (), "r", 2)[1] == ""


# shared memory


def test_numbers_are_written_to_a_region_and_texts_go_along():
    region = Region(1 << 20)
    region.unlink()
    model = make_model(inputs=["a FP32 [2]", "t BYTES [1]", "b INT32 [1]"], outputs=["y FP32 [1]"])
    tensors = {
        "a": [np.array([1, 2], np.float32)],
        "t": [np.array([b"text"], object)],
        "b": [np.array([7], np.int32)],
    }
    assert shareable_size(tensors) == 12
    buffers, length = encode_request(tensors, model, (), "id", region)
    header = orjson.loads(buffers[0])
    a, t, b = (entry["parameters"] for entry in header["inputs"])
    assert (length, b"".join(buffers[1:])) == (len(buffers[0]), b"\x04\0\0\0text")
    assert t == {"binary_data_size": 8}
    for where, values in ((a, tensors["a"][0]), (b, tensors["b"][0])):
        assert where["shared_memory_region"] == region.name
        at, size = where["shared_memory_offset"], where["shared_memory_byte_size"]
        assert bytes(region.buffer[at : at + size]) == values.tobytes()


@pytest.mark.parametrize("outputs", [(), (RequestedOutput("y"),)])
def test_parameters_go_along(outputs):
    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
    tensors, given = {"x": [np.zeros(1, "f4")]}, {"sequence_id": 7, "sequence_end": True}
    header = orjson.loads(encode_request(tensors, model, outputs, "", None, given)[0][0])
    assert header["parameters"] == (given if outputs else {"binary_data_output": True, **given})


def test_a_tensor_without_elements_has_no_place_in_a_region():
    region = Region(1 << 20)
    region.unlink()
    model = make_model(inputs=["a FP32 [?]", "b FP32 [?, 4]"], outputs=["y FP32 [1]"])
    tensors = {"a": [np.zeros(1 << 18, "f4")], "b": [np.zeros((0, 4), "f4")]}
    header = orjson.loads(encode_request(tensors, model, (), "", region)[0][0])
    a, b = header["inputs"]
    assert a["parameters"]["shared_memory_byte_size"] == region.size
    assert (b["shape"], b["parameters"]) == ([0, 4], {"binary_data_size": 0})


def test_pieces_of_a_batch_lie_one_after_the_other_in_a_region():
    region = Region(1 << 20)
    region.unlink()
    model = make_model(inputs=["x FP32 [9000]"], outputs=["y FP32 [1]"], max_batch_size=4)
    pieces = [np.full((1, 9000), n, np.float32) for n in range(3)]
    buffers, _ = encode_request({"x": pieces}, model, (), "", region)
    [entry] = orjson.loads(buffers[0])["inputs"]
    assert (entry["shape"], buffers[1:]) == ([3, 9000], [])
    size = entry["parameters"]["shared_memory_byte_size"]
    assert bytes(region.buffer[:size]) == np.concatenate(pieces).tobytes()
