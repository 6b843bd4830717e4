"""Requests share inferences of a real Triton, and each gets what it asked for and no more."""

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
import pytest
from onnx_models import linear_weights
from servers import running_host, statistics, wait_until

STEP = 2.0**-30  # the model "moody" takes as many seconds as it is given


@dataclass(frozen=True)
class Counts:
    """What Triton has counted: requests answered, their rows, and batches by their size.

    What a model of Python refuses counts as answered.
    """

    answered: int
    rows: int
    batches: Counter

    @classmethod
    def of(cls, triton, model):
        entry = statistics(triton.url, model)
        return cls(
            int(entry["inference_stats"]["success"].get("count", 0)),
            int(entry.get("inference_count", 0)),
            Counter(
                {
                    int(each["batch_size"]): int(each["compute_infer"].get("count", 0))
                    for each in entry.get("batch_stats", [])
                }
            ),
        )

    def since(self, before):
        return Counts(
            self.answered - before.answered,
            self.rows - before.rows,
            self.batches - before.batches,
        )


class Counting:
    """Counts what a model is asked within a block."""

    def __init__(self, triton, model):
        self._triton, self._model = triton, model

    def __enter__(self):
        self._before = Counts.of(self._triton, self._model)
        return self

    def __exit__(self, *raised):
        pass

    def counted(self, rows):
        """Return the counts once they all know of so many rows.

        Triton counts a moment after answering, and the rows of a batch apart from all rows.
        """

        def current():
            return Counts.of(self._triton, self._model).since(self._before)

        def complete():
            counts = current()
            batched = sum(size * count for size, count in counts.batches.items())
            return counts if counts.rows == batched == rows else None

        return wait_until(complete)


class Connection:
    """A kept-alive connection to a host."""

    def __init__(self, host):
        self._http = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
        self.close = self._http.close

    def begin(self, path, body, request_id=""):
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id or "none"}
        self._http.request("POST", path, json.dumps(body).encode(), headers)

    def end(self):
        """Return status, id and parsed body of the reply."""
        answer = self._http.getresponse()
        return answer.status, answer.headers["X-Request-Id"], json.loads(answer.read())

    def post(self, *sent):
        self.begin(*sent)
        return self.end()


def _bursts(host, path, bodies, rounds):
    """Send all bodies at the same time, each on a connection of its own, in so many rounds."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(Connection(host))) for _ in bodies]
        for _ in range(rounds):
            for connection, body in zip(connections, bodies, strict=True):
                connection.begin(path, body)
            yield [connection.end() for connection in connections]


@pytest.fixture(scope="module", params=[1, 2], ids="{} workers".format)
def crowded(request, triton):
    """A host whose model "moody" has one inference under way at a time in each worker."""
    settings = "[models.moody]\nconcurrency = 1\n"
    with running_host(triton.url, "--workers", str(request.param), settings=settings) as host:
        yield host


# how many rows an inference has


@pytest.mark.parametrize("model", ["vector", "moody"])
def test_a_client_that_is_alone_shares_with_nobody(crowded, triton, model):
    body = {"x": [0.0, 0.0, 0.0][: 3 if model == "vector" else 1]}
    with Counting(triton, model) as counting, closing(Connection(crowded)) as connection:
        for _ in range(20):
            assert connection.post(f"/score/{model}", body)[0] == 200
        counts = counting.counted(20)
    assert (counts.answered, counts.batches) == (20, {1: 20})


def _mean_batch(host, triton, clients):
    """Return how many rows an inference has while so many clients come at the same time.

    An inference is slow, so that the others come meanwhile however slow the machine is.
    """
    bodies = [{"x": [0.02 + n / 4096]} for n in range(clients)]
    with Counting(triton, "moody") as counting:
        for replies in _bursts(host, "/score/moody", bodies, 3):
            for body, (status, _, reply) in zip(bodies, replies, strict=True):
                assert status == 200
                assert np.float32(reply["outputs"]["y"]) == np.float32(body["x"])
        counts = counting.counted(clients * 3)
    return counts.rows / counts.answered


def test_batches_grow_with_the_clients_that_come_at_the_same_time(crowded, triton):
    assert _mean_batch(crowded, triton, 1) == 1
    assert _mean_batch(crowded, triton, 32) > 2


def test_batches_grow_with_the_clients_where_nothing_is_set(host, triton):
    sizes = {clients: _mean_batch(host, triton, clients) for clients in (1, 4, 32)}
    assert sizes[1] == 1
    assert sizes[1] < sizes[32] > 1.5
    assert sizes[4] <= sizes[32]


def test_what_waits_fills_the_next_inference(triton):
    settings = "[models.moody]\nconcurrency = 1\n"
    bodies = [{"x": [0.1]}] * 9
    with running_host(triton.url, settings=settings) as host, Counting(triton, "moody") as counting:
        [replies] = _bursts(host, "/score/moody", bodies, 1)
        counts = counting.counted(9)
    assert [status for status, _, _ in replies] == [200] * 9
    assert max(counts.batches) == 4
    assert counts.answered <= 5  # the first may have gone before the others came


def test_nothing_is_shared_where_it_is_switched_off(triton):
    with running_host(triton.url, settings="share_batches = false\n") as host:
        with Counting(triton, "moody") as counting:
            for replies in _bursts(host, "/score/moody", [{"x": [0.01]}] * 8, 3):
                assert [status for status, _, _ in replies] == [200] * 8
            assert counting.counted(24).batches == {1: 24}
        with Counting(triton, "moody") as counting:
            many = {"instances": [{"x": [0.0]}] * 6}  # items of one request still go together
            for replies in _bursts(host, "/score/moody", [many] * 4, 1):
                assert [status for status, _, _ in replies] == [200] * 4
            assert counting.counted(24).batches == {4: 4, 2: 4}


def test_no_inference_has_more_rows_than_the_settings_say(triton):
    settings = "[models.moody]\nmax_batch = 2\nconcurrency = 1\n"
    with running_host(triton.url, settings=settings) as host:
        with Counting(triton, "moody") as counting:
            [replies] = _bursts(host, "/score/moody", [{"x": [0.01]}] * 9, 1)
            assert [status for status, _, _ in replies] == [200] * 9
            batches = counting.counted(9).batches
        assert max(batches) == 2
        with Counting(triton, "moody") as counting:
            assert host.post("/score/moody", {"instances": [{"x": [0.0]}] * 7}).status == 200
            assert counting.counted(7).batches == {2: 3, 1: 1}


# whose is what


def _work(thread, turn):
    """Return what a client sends in a turn: the numbers, of which some may be negative."""
    nonce = thread * 1000 + turn * 10 + 1
    count = (1, 1, 1, 3, 9)[(thread + turn) % 5]
    numbers = [STEP * (nonce + k) for k in range(count)]
    if (thread * 7 + turn) % 6 == 0:  # one that Triton refuses, with the batch that it is in
        numbers[turn % count] *= -1
    return numbers, count > 1


def _check(numbers, many, status, reply):
    assert status == (502 if all(number < 0 for number in numbers) else 200)
    answers = reply["predictions"] if many else [reply if status == 200 else {"error": reply}]
    assert [_number(answer) for answer in answers] == [
        None if number < 0 else round(number / STEP) for number in numbers
    ]


def _number(answer):
    """Return in steps what came back for an item, or None where Triton refused it."""
    if "error" in answer:
        assert answer["error"]["code"] == "triton_error"
        return None
    return round(answer["outputs"]["y"][0] / STEP)


def test_every_answer_belongs_to_its_request(crowded):
    def talk(thread):
        with closing(Connection(crowded)) as connection:
            for turn in range(50):
                numbers, many = _work(thread, turn)
                items = [{"x": [number]} for number in numbers]
                body = {"instances": items} if many else items[0]
                name = f"{thread}-{turn}"
                status, request_id, reply = connection.post("/score/moody", body, name)
                assert request_id == name
                _check(numbers, many, status, reply)
        return turn + 1

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(talk, range(32))) == [50] * 32


def test_every_vector_is_multiplied_for_who_sent_it(crowded):
    vectors = [[n, -n, 2 * n] for n in range(32)]
    bodies = [{"x": vector} for vector in vectors]
    for replies in _bursts(crowded, "/score/vector", bodies, 20):
        answers = [reply["outputs"]["y"] for _, _, reply in replies]
        assert answers == (np.array(vectors) @ linear_weights(3)).tolist()


def test_a_bad_item_of_one_request_fails_no_other_request(triton):
    # the inference starts once it is full, so that it holds one item of each request
    settings = "[models.moody]\nconcurrency = 1\nmax_delay = 10\n"
    bodies = [{"x": [STEP * n]} for n in (1, 2, -3, 4)]
    with running_host(triton.url, settings=settings) as host, Counting(triton, "moody") as counting:
        [replies] = _bursts(host, "/score/moody", bodies, 1)
        counts = counting.counted(8)
    assert [status for status, _, _ in replies] == [200, 200, 502, 200]
    assert [_number(reply) for status, _, reply in replies if status == 200] == [1, 2, 4]
    assert counts.batches == {4: 1, 1: 4}  # together, and then each alone


# who goes first


def test_a_request_of_a_thousand_items_does_not_hold_up_others(triton):
    settings = "[models.moody]\nconcurrency = 1\n"
    done = []
    with running_host(triton.url, settings=settings) as host:

        def send_many():
            body = {"instances": [{"x": [0.005]}] * 1000}
            status, _, reply = connection.post("/score/moody", body)
            done.append("many")
            answers.append((status, len(reply["predictions"])))

        answers = []
        with closing(Connection(host)) as connection, closing(Connection(host)) as other:
            before = Counts.of(triton, "moody")
            thread = threading.Thread(target=send_many)
            thread.start()
            wait_until(lambda: Counts.of(triton, "moody").since(before).rows)  # it is under way
            for _ in range(5):
                assert other.post("/score/moody", {"x": [0.0]})[0] == 200
                done.append("one")
            thread.join()
    assert answers == [(200, 1000)]
    assert done == ["one"] * 5 + ["many"]
