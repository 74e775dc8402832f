import pytest

from visiontrain.environment.variables import interpreter_variables, uv_variables


def test_allow_list():
    source = {
        "PATH": "/bin",
        "HOME": "/h",
        "LC_ALL": "C",
        "PYTHONPATH": "/p",
        "VIRTUAL_ENV": "/v",
        "TOKEN": "t",
        "PYTHONHOME": "/",
    }
    assert interpreter_variables(source) == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C"}
    assert uv_variables(source) == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "UV_PYTHON_DOWNLOADS": "never"}


def test_settings_of_uv_pass_through():
    source = {"UV_DEFAULT_INDEX": "https://mirror/simple", "UV_PYTHON_DOWNLOADS": "auto", "HTTPS_PROXY": "http://proxy"}
    source |= {"SSL_CERT_FILE": "/cert.pem", "XDG_CONFIG_HOME": "/config", "UV_INDEX_MIRROR_PASSWORD": "p"}
    assert uv_variables(source) == source
    assert interpreter_variables(source) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("UV_NO_VERIFY_HASHES", "UV_REQUIRE_HASHES", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PYTHON", "UV_SYSTEM_PYTHON"),
        *("UV_WORKING_DIR", "UV_PROJECT", "UV_VENV_SEED", "UV_TORCH_BACKEND"),
    ],
)
def test_settings_that_would_change_the_lock_do_not(name):
    assert uv_variables({name: "1"}) == {"UV_PYTHON_DOWNLOADS": "never"}


def test_empty_settings_are_none():
    assert uv_variables({"UV_PYTHON_DOWNLOADS": "", "HTTPS_PROXY": "", "UV_CACHE_DIR": ""}) == {
        "UV_PYTHON_DOWNLOADS": "never"
    }


def test_relative_paths_are_the_callers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables = uv_variables({"UV_CACHE_DIR": "cache", "UV_FIND_LINKS": "wheels,https://example.org/links"})
    assert variables["UV_CACHE_DIR"] == str(tmp_path / "cache")
    assert variables["UV_FIND_LINKS"] == f"{tmp_path / 'wheels'},https://example.org/links"
