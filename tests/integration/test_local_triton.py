"""The embedded Triton: what it serves, how it ends, and what it says when it cannot start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as http
from onnx_models import (
    add_model,
    identities_model,
    identity_model,
    linear_model,
    linear_weights,
    lookup_model,
    row_sum_model,
    scaled_sum_model,
    shift_model,
    started_model,
    sum_and_difference_model,
)
from servers import wait_until
from trihook import Inference, LocalTritonError
from trihook.local import LocalTriton, _supervisor
from trihook.triton.batching import Batcher
from trihook.triton.catalog import Catalog
from trihook.triton.client import TritonClient
from trihook.triton.inputs import build_inputs
from trihook.triton.lanes import Limits
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

ONE_INSTANCE = "instance_group [{ count: 1 kind: KIND_CPU }]\n"
# four requests that come within two seconds of one another are one inference
FOUR_TOGETHER = (
    "max_batch_size: 4\n"
    "dynamic_batching { preferred_batch_size: [4] max_queue_delay_microseconds: 2000000 }\n"
)
DATATYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": str,
}

Array = Any


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of every kind, in a folder that a shell would have to quote."""
    root = tmp_path_factory.mktemp("models") / "it's here"
    add_model(root, "plain", linear_model())
    add_model(root, "fixed", linear_model(batch=1), ONE_INSTANCE)
    add_model(root, "rows", row_sum_model(), ONE_INSTANCE)
    add_model(root, "scalar", scaled_sum_model(), ONE_INSTANCE)
    add_model(root, "types", identities_model(DATATYPES), ONE_INSTANCE)
    add_model(root, "ragged", sum_and_difference_model(("N", "M")), ONE_INSTANCE)
    add_model(root, "lookup", lookup_model(), ONE_INSTANCE + FOUR_TOGETHER)
    add_model(root, "text", identity_model(str, ("N", 1)), ONE_INSTANCE + FOUR_TOGETHER)
    add_model(
        root,
        "configured",
        linear_model(),
        ONE_INSTANCE + "max_batch_size: 16\n"
        'input [{ name: "x" data_type: TYPE_FP32 dims: [4] }]\n'
        'parameters { key: "intra_op_thread_count" value { string_value: "2" } }\n'
        'parameters { key: "note" value { string_value: "kept" } }\n',
    )
    add_model(
        root,
        "sequence",
        started_model(),
        ONE_INSTANCE + "max_batch_size: 2\n"
        'input [{ name: "x" data_type: TYPE_FP32 dims: [1] }]\n'
        'sequence_batching { control_input [{ name: "START" control [{'
        " kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] }] }] }\n",
    )
    add_model(
        root,
        "optional",
        shift_model(),
        ONE_INSTANCE + 'input [{ name: "x" data_type: TYPE_FP32 dims: [3] },'
        ' { name: "shift" data_type: TYPE_FP32 dims: [3] optional: true }]\n',
    )
    add_model(
        root,
        "reshaped",
        linear_model(batch=1),
        ONE_INSTANCE
        + 'input [{ name: "x" data_type: TYPE_FP32 dims: [4] reshape { shape: [1, 4] } }]\n'
        'output [{ name: "y" data_type: TYPE_FP32 dims: [2] reshape { shape: [1, 2] } }]\n',
    )
    return root


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[LocalTriton]:
    with LocalTriton(
        repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout=0
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(triton: LocalTriton) -> Iterator[http.InferenceServerClient]:
    client = http.InferenceServerClient(triton.url.removeprefix("http://"), concurrency=4)
    yield client
    client.close()


def to_inputs(arrays: dict[str, Array]) -> list[http.InferInput]:
    inputs = []
    for name, array in arrays.items():
        tensor = http.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array))
    return inputs


def infer(client: http.InferenceServerClient, model: str, **arrays: Array) -> dict[str, Array]:
    result = client.infer(model, to_inputs(arrays))
    names = [tensor["name"] for tensor in result.get_response()["outputs"]]
    return {name: result.as_numpy(name) for name in names}


def infer_together(
    client: http.InferenceServerClient, model: str, name: str, rows: list[Array]
) -> list[Array | str]:
    """Send one request a row at the same time; return each one's output y, or its error."""

    def result(request: http.InferAsyncRequest) -> Array | str:
        try:
            return request.get_result().as_numpy("y")
        except InferenceServerException as error:
            return str(error)

    pending = [client.async_infer(model, to_inputs({name: row})) for row in rows]
    return [result(request) for request in pending]


def executions(client: http.InferenceServerClient, model: str) -> int:
    (statistics,) = client.get_inference_statistics(model)["model_stats"]
    return int(statistics["execution_count"])


def text(*elements: bytes) -> Array:
    return np.array(elements, dtype=object).reshape(1, -1)


@pytest.mark.parametrize(
    ("model", "inputs", "outputs", "max_batch_size"),
    [
        ("plain", ["x FP32 [-1, 4]"], ["y FP32 [-1, 2]"], 4),
        ("fixed", ["x FP32 [1, 4]"], ["y FP32 [1, 2]"], 0),
        ("rows", ["x FP32 [-1, 3]"], ["y FP32 [-1, 1]"], 4),
        ("scalar", ["x FP32 [2, 3]", "factor FP32 [1]"], ["y FP32 [1]"], 0),
        ("configured", ["x FP32 [-1, 4]"], ["y FP32 [-1, 2]"], 16),
        ("reshaped", ["x FP32 [4]"], ["y FP32 [2]"], 0),
        (
            "types",
            [f"x_{name} {name} [-1, 3]" for name in DATATYPES],
            [f"y_{name} {name} [-1, 3]" for name in DATATYPES],
            4,
        ),
    ],
)
def test_metadata_is_what_the_native_backend_would_give(
    client: http.InferenceServerClient,
    model: str,
    inputs: list[str],
    outputs: list[str],
    max_batch_size: int,
) -> None:
    metadata, config = client.get_model_metadata(model), client.get_model_config(model)

    def described(side: str) -> list[str]:
        return [f"{t['name']} {t['datatype']} {t['shape']}" for t in metadata[side]]

    assert described("inputs") == inputs
    assert described("outputs") == outputs
    assert config["max_batch_size"] == max_batch_size
    assert ("dynamic_batching" in config) is (max_batch_size > 1)
    assert metadata["platform"] == "onnxruntime_onnx"


def test_a_model_without_a_configuration_has_two_instances(
    client: http.InferenceServerClient,
) -> None:
    (group,) = client.get_model_config("plain")["instance_group"]
    assert (group["kind"], group["count"]) == ("KIND_CPU", 2)


def test_the_rest_of_a_configuration_is_kept(client: http.InferenceServerClient) -> None:
    config = client.get_model_config("configured")
    assert config["parameters"]["note"]["string_value"] == "kept"
    assert config["instance_group"][0]["count"] == 1


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_batch_is_answered_row_by_row(client: http.InferenceServerClient, rows: int) -> None:
    x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    np.testing.assert_array_equal(infer(client, "plain", x=x)["y"], x @ linear_weights())


def test_more_rows_than_max_batch_size_are_refused(client: http.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="batch-size must be <= 4"):
        infer(client, "plain", x=np.zeros((5, 4), np.float32))


@pytest.mark.parametrize(("model", "shape"), [("fixed", (1, 4)), ("reshaped", (4,))])
def test_a_model_without_a_batch_dimension_takes_the_shape_it_declares(
    client: http.InferenceServerClient, model: str, shape: tuple[int, ...]
) -> None:
    y = infer(client, model, x=np.ones(shape, np.float32))["y"]
    np.testing.assert_array_equal(y, np.array([6, 10], np.float32).reshape((*shape[:-1], 2)))


def test_every_datatype_arrives_and_returns_as_it_is(client: http.InferenceServerClient) -> None:
    arrays = {
        f"x_{name}": np.array([[0, 1, 100], [1, 0, 1]]).astype(dtype)
        for name, dtype in DATATYPES.items()
        if name != "BYTES"
    }
    strings = [b"", "naïve ☃".encode(), b"with \0 inside", b"b", b"end\0", b"x" * 100_000]
    arrays["x_BYTES"] = np.array(strings, dtype=object).reshape(2, 3)
    outputs = infer(client, "types", **arrays)
    assert len(outputs) == len(DATATYPES)
    for name, array in arrays.items():
        returned = outputs[name.replace("x_", "y_")]
        assert returned.dtype == array.dtype
        np.testing.assert_array_equal(returned, array)


def test_one_number_a_row_and_scalars_have_a_dimension_of_one(
    client: http.InferenceServerClient,
) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert infer(client, "rows", x=x)["y"].tolist() == [[3], [12]]
    assert infer(client, "scalar", x=x, factor=np.array([2], np.float32))["y"].tolist() == [30]


def test_an_input_with_a_default_may_be_left_out(client: http.InferenceServerClient) -> None:
    x = np.zeros(3, np.float32)
    assert infer(client, "optional", x=x)["y"].tolist() == [1, 1, 1]
    shift = np.full(3, 5, np.float32)
    assert infer(client, "optional", x=x, shift=shift)["y"].tolist() == [5, 5, 5]


def test_a_sequence_batcher_sets_its_control_inputs(client: http.InferenceServerClient) -> None:
    inputs = to_inputs({"x": np.array([[7]], np.float32)})
    first = client.infer("sequence", inputs, sequence_id=5, sequence_start=True)
    last = client.infer("sequence", inputs, sequence_id=5, sequence_end=True)
    assert (first.as_numpy("y").item(), last.as_numpy("y").item()) == (107, 7)


def test_an_item_may_say_which_sequence_it_belongs_to(triton: LocalTriton) -> None:
    client = TritonClient(triton.url)
    model = Catalog(client).find("sequence")
    assert model is not None
    items = [
        build_inputs(Inference({"x": [7]}, parameters={"sequence_id": 6, **place}), model)
        for place in ({"sequence_start": True}, {}, {"sequence_end": True})
    ]
    results = Batcher(client, lambda model: Limits(model.max_batch_size)).submit(items, model)
    client.close()
    assert [item["y"].item() for item in results if isinstance(item, dict)] == [107, 7, 7]


def test_only_the_outputs_asked_for_are_returned(client: http.InferenceServerClient) -> None:
    row = np.ones((1, 3), np.int32)
    result = client.infer(
        "ragged", to_inputs({"a": row, "b": row}), outputs=[http.InferRequestedOutput("difference")]
    )
    assert [tensor["name"] for tensor in result.get_response()["outputs"]] == ["difference"]


def test_tensors_of_no_elements_are_served(client: http.InferenceServerClient) -> None:
    none = np.zeros((2, 0), np.int32)
    assert infer(client, "ragged", a=none, b=none)["sum"].shape == (2, 0)


def test_requests_that_come_together_are_one_inference_and_split_right(
    client: http.InferenceServerClient,
) -> None:
    before = executions(client, "lookup")
    results = infer_together(client, "lookup", "index", [np.array([[n]]) for n in (3, 1, 4, 2)])
    assert [result.tolist() for result in results] == [[[30]], [[10]], [[40]], [[20]]]
    wait_until(lambda: executions(client, "lookup") > before)  # counted a moment after answering
    assert executions(client, "lookup") == before + 1


def test_a_request_that_fails_in_a_batch_fails_alone(client: http.InferenceServerClient) -> None:
    first, bad, *rest = infer_together(
        client, "lookup", "index", [np.array([[n]]) for n in (3, 99, 4, 2)]
    )
    assert "out of" in bad
    assert [result.tolist() for result in (first, *rest)] == [[[30]], [[40]], [[20]]]


def test_bytes_that_are_not_text_fail_alone(client: http.InferenceServerClient) -> None:
    rows = [text(element) for element in (b"a", b"\xff", "ü".encode(), b"")]
    first, bad, *rest = infer_together(client, "text", "x", rows)
    assert "input 'x' has an element that is not UTF-8" in bad
    assert [result.item() for result in (first, *rest)] == [b"a", "ü".encode(), b""]


def test_only_loopback_is_listened_at(triton: LocalTriton) -> None:
    port = triton.options.http_port
    listening = {
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A"  # LISTEN
    }
    assert [at for at in listening if at.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_grpc_and_metrics_are_served_where_asked_for(triton: LocalTriton) -> None:
    with socket.create_connection(("127.0.0.1", triton.options.grpc_port)):
        pass
    metrics = f"http://127.0.0.1:{triton.options.metrics_port}/metrics"
    with urllib.request.urlopen(metrics) as reply:
        assert b"nv_inference_request_success" in reply.read()


# Python warns of forking with threads, which is what the guard is for
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_cannot_stop_triton(triton: LocalTriton) -> None:
    child = os.fork()
    if child == 0:
        triton.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert triton.poll() is None


def test_a_second_server_on_the_port_is_refused_at_once(
    triton: LocalTriton, repository: Path
) -> None:
    port = triton.options.http_port
    second = LocalTriton(repository, http_port=port)
    with pytest.raises(LocalTritonError, match=rf"port {port} on 127\.0\.0\.1 .*in use"):
        second.start()
    assert second.pid is None


def test_every_model_that_does_not_load_is_named_with_the_reason(tmp_path: Path) -> None:
    wrong = {
        "a_name": 'input [{ name: "z" data_type: TYPE_FP32 dims: [4] }]',
        "a_type": 'input [{ name: "x" data_type: TYPE_INT32 dims: [4] }]',
        "a_shape": 'input [{ name: "x" data_type: TYPE_FP32 dims: [5] }]',
        "an_output": 'output [{ name: "y" data_type: TYPE_FP32 dims: [3] }]',
        "a_thread": 'parameters { key: "intra_op_thread_count" value { string_value: "two" } }',
    }
    for name, config in wrong.items():
        add_model(tmp_path, name, linear_model(), f"{ONE_INSTANCE}max_batch_size: 4\n{config}")
    add_model(tmp_path, "a_field", linear_model(), "max_batch: 4")
    add_model(tmp_path, "a_batch", linear_model(batch=1), ONE_INSTANCE + "max_batch_size: 2")
    add_model(tmp_path, "no_onnx", b"this is not a model", ONE_INSTANCE)
    with pytest.raises(LocalTritonError) as caught:
        LocalTriton(tmp_path, http_port=0, exit_timeout=0).__enter__()
    reasons = dict(re.findall(r"model '(\w+)': ([^;]*)", str(caught.value)))
    assert reasons.keys() == {*wrong, "a_field", "a_batch", "no_onnx"}
    assert "declares input 'z', and the model's are 'x'" in reasons["a_name"]
    assert "input 'x' is TYPE_FP32 in the model and TYPE_INT32" in reasons["a_type"]
    assert "input 'x' has shape [-1, 4] in the model and [-1, 5]" in reasons["a_shape"]
    assert "intra_op_thread_count is 'two'" in reasons["a_thread"]
    assert "output 'y' has shape [-1, 2] in the model and [-1, 3]" in reasons["an_output"]
    assert 'has no field named "max_batch"' in reasons["a_field"]
    assert "max_batch_size is 2, but the model does not support batching" in reasons["a_batch"]
    assert "no_onnx/1/model.onnx" in reasons["no_onnx"]
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one model, which is ready soon."""
    root = tmp_path_factory.mktemp("small")
    add_model(root, "plain", linear_model(), ONE_INSTANCE)
    return root


@dataclass(frozen=True)
class Command:
    """A running ``trihook triton``, and what belongs to it: processes and regions."""

    process: subprocess.Popen[str]
    ready: str

    @property
    def mark(self) -> str:
        return f"trihook.{Path('/proc/self/ns/pid').stat().st_ino}.{self.process.pid}."

    def pids(self) -> set[int]:
        """The supervisor, tritonserver and its stubs."""
        return set(_supervisor._marked(self.mark.encode()))

    def server(self) -> int:
        (pid,) = (pid for pid in self.pids() if command_line(pid)[0].endswith("/tritonserver"))
        return pid


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


@pytest.fixture
def command(small: Path) -> Iterator[Command]:
    """Run the command as a shell would, in a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trihook", "triton", str(small), "--http-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a test run in the background ignores SIGINT, and a shell's foreground job does not
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs
    )
    running = Command(process, process.stdout.readline())
    yield running
    process.kill()
    process.communicate()
    _supervisor.sweep(running.mark)


def wait_until_gone(pids: set[int], mark: str) -> None:
    """Wait until the processes and every region and folder of the mark are gone."""

    def left() -> list[object]:
        folders = list(Path(tempfile.gettempdir()).glob(f"{mark}*"))
        return [pid for pid in pids if alive(pid)] + list(_supervisor.regions(mark)) + folders

    deadline = time.monotonic() + 30
    while left():
        assert time.monotonic() < deadline, f"still there after 30 s: {left()}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_command_says_where_triton_is_ready_and_with_which_models(command: Command) -> None:
    ready = re.fullmatch(
        r"Triton is ready at (http://127\.0\.0\.1:\d+) with models plain\n", command.ready
    )
    with urllib.request.urlopen(f"{ready[1]}/v2/models/plain/ready") as reply:
        assert reply.status == 200
    lines = [command.process.stdout.readline().strip() for _ in range(3)]
    assert lines == ["plain/1  max batch 4", "in   x FP32 [4]", "out  y FP32 [2]"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_foreground_group_ends_everything_cleanly(
    command: Command, number: signal.Signals
) -> None:
    pids, mark = command.pids(), command.mark
    assert len(pids) == 3
    assert _supervisor.regions(mark)
    os.killpg(command.process.pid, number)
    _, errors = command.process.communicate(timeout=60)
    assert (command.process.returncode, errors) == (0, "")
    wait_until_gone(pids, mark)


def test_nothing_is_left_when_the_launcher_is_killed(command: Command) -> None:
    pids, mark = command.pids(), command.mark
    command.process.kill()
    wait_until_gone(pids, mark)


def test_nothing_is_left_when_tritonserver_is_killed_and_the_command_says_so(
    command: Command,
) -> None:
    pids, mark = command.pids(), command.mark
    os.kill(command.server(), signal.SIGKILL)
    _, errors = command.process.communicate(timeout=60)
    assert command.process.returncode == 1
    assert errors == "Error: tritonserver ended by itself, with status 137\n"
    wait_until_gone(pids, mark)


def test_nothing_is_left_when_the_supervisor_is_killed_and_triton_stopped(small: Path) -> None:
    triton = LocalTriton(small, http_port=0)
    with triton:
        pids, mark = set(_supervisor._marked(triton.mark.encode())), triton.mark
        (supervisor,) = (pid for pid in pids if _supervisor.__file__ in command_line(pid))
        os.kill(supervisor, signal.SIGKILL)
    wait_until_gone(pids, mark)
    assert triton.poll() == 128 + signal.SIGKILL


def test_explicit_mode_loads_the_named_models_and_minds_no_others(tmp_path: Path) -> None:
    add_model(tmp_path, "wanted", linear_model(), ONE_INSTANCE)
    (tmp_path / "broken").mkdir()
    log = tmp_path / "triton.log"
    log.write_text("kept\n")
    with LocalTriton(
        tmp_path,
        http_port=0,
        model_control_mode="explicit",
        load_models=["wanted"],
        log_file=log,
        exit_timeout=0,
    ) as triton:
        index = urllib.request.Request(f"{triton.url}/v2/repository/index", method="POST")
        with urllib.request.urlopen(index) as reply:
            states = {entry["name"]: entry.get("state") for entry in json.load(reply)}
    assert states["wanted"] == "READY"
    assert log.read_text().startswith("kept\n")
    assert "Started HTTPService" in log.read_text()


def test_what_is_not_ready_in_time_is_said_to_be_late(small: Path) -> None:
    triton = LocalTriton(small, http_port=0, exit_timeout=0, ready_timeout=0)
    with pytest.raises(LocalTritonError, match=r"Triton at http://127.* was not ready in 0 s"):
        triton.__enter__()
    assert triton.pid is None
