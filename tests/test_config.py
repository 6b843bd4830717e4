"""Settings come in layers, and one that is wrong says which, where, and what was meant."""

import pytest
from trihook import ConfigError
from trihook.config import ModelSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _file(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def _problem(overrides=(), environment=(), file=None):
    with pytest.raises(ConfigError) as caught:
        load_settings(dict(overrides), dict(environment), file)
    return str(caught.value)


# layers


def test_everything_has_a_default():
    settings = load_settings({}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 5001, 1)


def test_the_later_layer_wins(tmp_path):
    file = _file(tmp_path, "port = 1\nworkers = 1\nmax_items = 1\n")
    environment = {"TRIHOOK_WORKERS": "2", "TRIHOOK_MAX_ITEMS": "2"}
    settings = load_settings({"max_items": 3}, environment, file)
    assert (settings.port, settings.workers, settings.max_items) == (1, 2, 3)


def test_the_file_of_the_current_folder_is_read(tmp_path):
    (tmp_path / "trihook.toml").write_text('default_model = "here"\n')
    assert load_settings({}, {}).default_model == "here"


def test_the_environment_names_another_file(tmp_path):
    (tmp_path / "trihook.toml").write_text('default_model = "here"\n')
    file = _file(tmp_path, 'default_model = "there"\n')
    assert load_settings({}, {"TRIHOOK_CONFIG": str(file)}).default_model == "there"


def test_a_file_that_is_given_wins_over_the_environments(tmp_path):
    file = _file(tmp_path, 'default_model = "given"\n')
    assert load_settings({}, {"TRIHOOK_CONFIG": "missing"}, file).default_model == "given"


def test_the_process_environment_is_not_read(monkeypatch):
    monkeypatch.setenv("TRIHOOK_PORT", "1")
    assert load_settings({}, {}).port == 5001


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


# values


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("port", "80", 80),
        ("timeout", "1.5", 1.5),
        ("skip_broken_plugins", "true", True),
        ("skip_broken_plugins", "0", False),
        ("block_plugins", "a, b,,c ", ("a", "b", "c")),
        ("load_plugins", "", ()),
        ("triton_url", "triton:8000", "triton:8000"),
    ],
)
def test_variables_are_read_by_the_type_of_the_setting(variable, text, value):
    settings = load_settings({}, {f"TRIHOOK_{variable.upper()}": text})
    assert getattr(settings, variable) == value


def test_no_allow_list_and_an_empty_one_are_different():
    assert load_settings({}, {}).load_plugins is None
    assert load_settings({"load_plugins": []}, {}).load_plugins == ()


def test_options_keep_their_types(tmp_path):
    text = '[options]\nb = true\ni = 1\nf = 1.0\ns = "1"\nl = [1, "a"]\nt = {x = 1}\n'
    options = load_settings({}, {}, _file(tmp_path, text)).options
    assert options == {"b": True, "i": 1, "f": 1.0, "s": "1", "l": [1, "a"], "t": {"x": 1}}
    assert [type(options[name]) for name in "bif"] == [bool, int, float]


def test_options_of_a_model_are_over_those_of_all(tmp_path):
    text = "[options]\na = 1\nb = 1\n[models.m.options]\nb = 2\nc = 2\n"
    settings = load_settings({}, {}, _file(tmp_path, text))
    assert settings.options_of("m") == {"a": 1, "b": 2, "c": 2}
    assert settings.options_of("other") == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "url", ["localhost", "triton:8000", "http://triton:8000", "https://t.example", "[::1]:8000"]
)
def test_triton_may_be_at_any_address(url):
    assert load_settings({"triton_url": url}, {}).triton_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":8000",
        "triton:http",
        "triton:99999",
        "grpc://triton:8001",
        "a b:8000",
        "t:8000?q",
        "t#f",
    ],
)
def test_what_is_no_address_is_told_before_anybody_connects(url):
    problem = _problem({"triton_url": url})
    assert f"'triton_url' in the command line is {url!r}" in problem
    assert "expected HOST:PORT" in problem


# what is wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ["'prot'", "is no setting", "did you mean port?"]),
        ("xyzzy = 1", ["'xyzzy'", "is no setting"]),
        ("[models.m]\noptoins = {}", ["'models.m.optoins'", "did you mean models.m.options?"]),
        ("port = 70000", ["'port'", "is 70000", "65535"]),
        ('port = "http"', ["'port'", "'http'", "integer"]),
        ("workers = 0", ["'workers'", "is 0"]),
        ("timeout = -1", ["'timeout'", "is -1"]),
        ("timeout = nan", ["'timeout'", "nan"]),
        ("refresh_interval = 0", ["'refresh_interval'", "is 0"]),
        ("block_plugins = [1]", ["'block_plugins.0'", "is 1", "string"]),
        ("block_plugins = 1", ["'block_plugins'", "is 1"]),
        ('models = "m"', ["'models'", "'m'"]),
        ("[models]\nm = 1", ["'models.m'", "is 1"]),
        ("[options]\nz = 2020-01-01", ["'options.z'", "a boolean, number, string, list or table"]),
        ("[models.x.options]\nz = 2020-01-01", ["'models.x.options.z'", "expected a boolean"]),
        ("skip_broken_plugins = 2", ["'skip_broken_plugins'", "is 2", "boolean"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path, text, words):
    file = _file(tmp_path, text)
    problem = _problem(file=file)
    for word in [*words, str(file)]:
        assert word in problem
    assert "\n" not in problem
    assert "pydantic" not in problem


def test_the_origin_is_the_layer_that_won(tmp_path):
    file = _file(tmp_path, "port = 1\nworkers = 0\n")
    problem = _problem({"timeout": -1}, {"TRIHOOK_PORT": "x"}, file)
    assert "'port' in the environment is 'x'" in problem
    assert f"'workers' in {file} is 0" in problem
    assert "'timeout' in the command line is -1" in problem
    assert len(problem.splitlines()) == 3


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [("TRIHOOK_PROT", "TRIHOOK_PORT"), ("TRIHOOK_WORKER", "TRIHOOK_WORKERS")],
)
def test_an_unknown_variable_is_told_with_the_nearest(variable, nearest):
    problem = _problem(environment={variable: "1"})
    assert problem == f"{variable} is no setting; did you mean {nearest}?"


@pytest.mark.parametrize("variable", ["TRIHOOK_OPTIONS", "TRIHOOK_MODELS"])
def test_tables_are_for_the_file(variable):
    problem = _problem(environment={variable: "{}"})
    assert problem == f"{variable} is a table, which only trihook.toml can hold"


def test_tables_are_not_suggested_as_variables():
    assert "OPTIONS" not in _problem(environment={"TRIHOOK_OPTION": "{}"})


def test_other_peoples_variables_are_theirs():
    assert load_settings({}, {"PORT": "x", "TRITON_URL": "y"}) == Settings()


@pytest.mark.parametrize("content", [b"port = ", b"port = 1\nport = 2", b"\xff"])
def test_a_file_that_is_not_toml_is_named(tmp_path, content):
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    assert _problem(file=file).startswith(f"settings file {file} is not TOML")


def test_a_file_that_is_named_must_exist(tmp_path):
    file = tmp_path / "none.toml"
    assert _problem(file=file) == f"settings file {file} does not exist"
    assert _problem(environment={"TRIHOOK_CONFIG": str(file)}) == _problem(file=file)


def test_a_folder_is_no_file(tmp_path):
    assert _problem(file=tmp_path).startswith(f"settings file {tmp_path} cannot be read")


def test_what_kubernetes_says_of_a_service_named_trihook_is_no_setting():
    environment = {
        "TRIHOOK_SERVICE_HOST": "10.0.0.1",
        "TRIHOOK_SERVICE_PORT": "5001",
        "TRIHOOK_SERVICE_PORT_HTTP": "5001",
        "TRIHOOK_PORT": "tcp://10.0.0.1:5001",
        "TRIHOOK_PORT_5001_TCP": "tcp://10.0.0.1:5001",
        "TRIHOOK_PORT_5001_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings({}, environment).port == Settings().port


def test_what_kubernetes_says_of_services_whose_names_begin_so_is_no_setting():
    environment = {
        "TRIHOOK_TRITON_SERVICE_HOST": "10.0.0.5",
        "TRIHOOK_TRITON_SERVICE_PORT_HTTP": "8000",
        "TRIHOOK_TRITON_PORT": "tcp://10.0.0.5:8000",
        "TRIHOOK_TRITON_PORT_8000_TCP": "tcp://10.0.0.5:8000",
        "TRIHOOK_MY_CANARY_PORT_8000_UDP_PROTO": "udp",
    }
    assert load_settings({}, environment) == Settings()
    for wrong in ({"TRIHOOK_TRITON_PORT": "8000"}, {"TRIHOOK_TRITON_SERVICE": "x"}):
        assert "is no setting" in _problem(environment=wrong)


@pytest.mark.parametrize("setting", ["port", "workers", "max_queue", "timeout", "busy_poll"])
def test_true_is_no_number(tmp_path, setting):
    problem = _problem(file=_file(tmp_path, f"{setting} = true"))
    assert problem.endswith("is True: expected a number")


@pytest.mark.parametrize(
    "given",
    [
        {"busy_poll": 1.5},
        {"max_requests": 0},
        {"host": ""},
        {"graceful_timeout": float("inf")},
        {"graceful_timeout": float("nan")},
        {"refresh_interval": 0},
        {"hook_threads": 0},
    ],
    ids=repr,
)
def test_what_no_host_could_work_with_is_refused(given):
    [name] = given
    assert f"setting {name!r} in the command line is " in _problem(given)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "trihook.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 5002\n")
    assert load_settings({}, {}, file).port == 5002


def test_the_client_s_key_is_no_setting():
    assert load_settings({}, {"TRIHOOK_KEY": "secret"}) == Settings()


# how a model is fed


def test_a_model_may_be_fed_otherwise(tmp_path):
    text = "[models.m]\nmax_batch = 2\nconcurrency = 3\nmax_delay = 0.5\noptions = {a = 1}\n"
    settings = load_settings({}, {}, _file(tmp_path, text))
    assert settings.models == {
        "m": ModelSettings(max_batch=2, concurrency=3, max_delay=0.5, options={"a": 1})
    }


def test_a_model_that_is_only_named_is_fed_as_any_other(tmp_path):
    own = load_settings({}, {}, _file(tmp_path, "[models.m]\n")).models["m"]
    assert (own.max_batch, own.concurrency, own.max_delay, own.options) == (None, None, 0.0, {})


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [("max_queue", "7", 7), ("share_batches", "false", False), ("share_batches", "1", True)],
)
def test_how_all_models_are_fed_may_stand_in_the_environment(variable, text, value):
    settings = load_settings({}, {f"TRIHOOK_{variable.upper()}": text})
    assert getattr(settings, variable) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_queue = 0", ["'max_queue'", "is 0"]),
        ("share_batches = 2", ["'share_batches'", "is 2", "boolean"]),
        ("[models.m]\nmax_batch = 0", ["'models.m.max_batch'", "is 0"]),
        ("[models.m]\nmax_batch = 1.5", ["'models.m.max_batch'", "is 1.5", "integer"]),
        ("[models.m]\nconcurrency = 0", ["'models.m.concurrency'", "is 0"]),
        ("[models.m]\nmax_delay = -1", ["'models.m.max_delay'", "is -1"]),
        ("[models.m]\nmax_delay = 11", ["'models.m.max_delay'", "is 11"]),
        ("[models.m]\nmax_delay = nan", ["'models.m.max_delay'", "nan"]),
        ("[models.m]\nmax_dealy = 1", ["'models.m.max_dealy'", "did you mean models.m.max_delay?"]),
        ("[models.m]\nmax_batch_size = 1", ["is no setting", "did you mean models.m.max_batch?"]),
        ("max_batch = 1", ["'max_batch'", "is no setting"]),
    ],
)
def test_a_model_that_is_fed_wrongly_is_named(tmp_path, text, words):
    problem = _problem(file=_file(tmp_path, text))
    for word in words:
        assert word in problem
    assert len(problem.splitlines()) == 1


@pytest.mark.parametrize(
    "keys", [["short"], ["with a space in it"], ["ä" * 16], ["0123456789abcdef", ""]]
)
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(keys):
    with pytest.raises(ConfigError, match="expected keys of 16 or more") as caught:
        load_settings({"keys": keys}, {})
    assert not any(key and key in str(caught.value) for key in keys)
