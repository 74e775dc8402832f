from __future__ import annotations

from importlib.metadata import EntryPoint, distributions

import pytest

from visiontrain.plugin.discovery import discover
from visiontrain.runners.routing import frameworks_of

BROKEN = {
    "bad_manifest": ("its manifest is not valid", "name", "trainer"),
    "broken_exception": ("_UnprintableError",),
    "crashes_on_import": ("ModuleNotFoundError", "a_framework_that_is_not_here"),
    "exits_on_import": ("SystemExit", "bye"),
    "not_a_manifest": ("registered a dict where a Manifest is due",),
    "raises_in_hook": ("RuntimeError", "not today"),
    "unknown_hook": ("register_rockets",),
    "wrong_api_version": ("version 99 of the plugin interface", "Upgrade visiontrain"),
}


def entry_points(*names):
    """Entry points of packages in ``tests/packages``, as a distribution would have them."""
    return [EntryPoint(name, f"visiontrain_{name}.plugin", "visiontrain") for name in names]


@pytest.fixture
def found(installed):
    def found(*names):
        installed(*names)
        return {plugin.name: plugin for plugin in discover(entry_points(*names))}

    return found


def test_a_plugin_that_works(found):
    plugin = found("counter")["counter"]
    assert plugin.error is None
    assert [manifest.name for manifest in plugin.frameworks] == ["counter"]


def test_a_plugin_may_add_a_tracker_whose_name_is_its_own():
    points = [EntryPoint(name, "visiontrain_mlflow.plugin", "visiontrain") for name in ("mlflow", "other")]
    first, second = discover(points)
    assert ([manifest.name for manifest in first.trackers], first.frameworks, first.error) == (["mlflow"], (), None)
    assert second.trackers == ()
    assert "the tracker name 'mlflow' is taken by" in second.error


def test_installed_plugins_are_found_with_their_distribution_and_version(installed):
    installed("counter", "crashes_on_import")
    plugins = {plugin.name: plugin for plugin in discover()}
    assert plugins["counter"].distribution == "visiontrain-counter"
    assert plugins["counter"].version == "1.0"
    assert plugins["crashes_on_import"].distribution == "visiontrain-crashes-on-import"
    assert plugins["crashes_on_import"].error


@pytest.mark.parametrize(
    ("told", "editable"),
    [
        (None, False),
        ('{"url": "file:///plugin", "dir_info": {"editable": true}}', True),
        ('{"url": "file:///plugin", "dir_info": {}}', False),
        ('{"url": "https://example.org/plugin.whl", "archive_info": {}}', False),
        ("no JSON", False),
        ("[]", False),
    ],
)
def test_a_plugin_that_is_used_where_it_is_written_says_so(tmp_path, monkeypatch, installed, told, editable):
    installed("counter")
    site = tmp_path / "visiontrain_counter-2.0.dist-info"
    site.mkdir()
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: visiontrain-counter\nVersion: 2.0\n")
    (site / "entry_points.txt").write_text("[visiontrain]\ncounter = visiontrain_counter.plugin\n")
    if told is not None:
        (site / "direct_url.json").write_text(told)
    monkeypatch.syspath_prepend(tmp_path)
    (plugin,) = (each for each in discover() if each.name == "counter")
    assert (plugin.version, plugin.editable) == ("2.0", editable)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_plugin_is_listed_with_its_error_and_harms_nobody(found, name):
    plugins = found(name, "counter")
    assert list(plugins) == sorted(plugins)
    assert plugins["counter"].error is None
    assert plugins[name].frameworks == ()
    for word in BROKEN[name]:
        assert word in plugins[name].error


def test_all_of_them_at_once(found):
    plugins = found(*BROKEN, "counter")
    assert [framework.manifest.name for framework in frameworks_of(plugins.values())] == ["counter"]


def test_code_that_failed_is_shown(found):
    assert "plugin.py" in found("crashes_on_import")["crashes_on_import"].traceback


@pytest.mark.parametrize("order", [("counter", "name_taken"), ("name_taken", "counter")])
def test_a_name_that_is_taken_does_not_depend_on_the_order_of_paths(found, order):
    plugins = found(*order)
    assert plugins["counter"].error is None
    error = plugins["name_taken"].error
    assert "the framework name 'counter' is taken by visiontrain_counter.plugin" in error
    assert "Uninstall one of" in error


def test_a_name_that_one_plugin_takes_twice(installed, monkeypatch):
    installed("counter")
    import visiontrain_counter.plugin as module

    class Twice:
        @staticmethod
        @module.hookimpl
        def register_frameworks(register):
            module.register_frameworks(register)
            module.register_frameworks(register)

    monkeypatch.setattr(module, "twice", Twice, raising=False)
    (plugin,) = discover([EntryPoint("twice", "visiontrain_counter.plugin:twice", "visiontrain")])
    assert "'counter' is taken" in plugin.error


def test_an_interrupt_is_not_taken_for_a_broken_plugin(installed, monkeypatch):
    installed("counter")

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(EntryPoint, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        discover(entry_points("counter"))


def test_what_a_plugin_prints_while_it_is_loaded_is_not_on_stdout(found, capfd):
    assert found("prints_on_import")["prints_on_import"].error is None
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == '{"printed": "while imported"}\nwithout a newlinenull\n'


@pytest.mark.parametrize(
    "value", ["", "not a module!", "visiontrain_counter.plugin:", ":", "visiontrain_counter.nothing"]
)
def test_an_entry_point_that_names_nothing_harms_nobody(installed, value):
    installed("counter")
    broken, counter = discover([EntryPoint("a", value, "visiontrain"), *entry_points("counter")])
    assert broken.error
    assert counter.error is None


def test_a_distribution_whose_metadata_is_damaged_harms_nobody(installed, tmp_path):
    installed("counter")
    info = tmp_path / "nameless-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("nothing of use", encoding="utf-8")
    (info / "entry_points.txt").write_text("[visiontrain]\nnameless = visiontrain_nameless.plugin\n", encoding="utf-8")
    (nameless,) = [each for found in distributions(path=[str(tmp_path)]) for each in found.entry_points]
    counter, broken = discover([nameless, *entry_points("counter")])
    assert (broken.distribution, broken.version) == ("visiontrain_nameless.plugin", "unknown")
    assert "ModuleNotFoundError" in broken.error
    assert counter.error is None


def test_without_plugins_there_are_none():
    assert discover([]) == ()
