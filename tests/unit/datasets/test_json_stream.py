from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.formats import json_stream
from visiontrain.datasets.formats.json_stream import read_items
from visiontrain.errors import DatasetError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def expected(content):
    for name, value in content.items():
        if isinstance(value, list):
            yield from ((name, item) for item in value)
        else:
            yield name, value


@given(
    content=st.dictionaries(st.text(max_size=6), VALUES | st.lists(VALUES, max_size=6), max_size=5),
    indent=st.none() | st.integers(0, 2),
    plain=st.booleans(),
    chunk=st.integers(1, 9),
)
def test_all_items_come_whatever_the_chunks(tmp_path_factory, content, indent, plain, chunk):
    path = tmp_path_factory.getbasetemp() / "stream.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=plain), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        assert list(read_items(str(path))) == list(expected(content))


def test_a_large_list_is_not_held_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "large.json"
    path.write_text('{"images": [' + ", ".join(f'{{"id": {n}}}' for n in range(5000)) + "]}", encoding="utf-8")
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    longest = 0
    more = json_stream._Reader._more

    def measured(self):
        nonlocal longest
        longest = max(longest, len(self._text))
        return more(self)

    monkeypatch.setattr(json_stream._Reader, "_more", measured)
    assert [item["id"] for _, item in read_items(str(path))] == list(range(5000))
    assert longest < 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"\{ is expected at character 1, where the file ends"),
        ("[1, 2]", r"\{ is expected at character 1"),
        ('{"images": [{"id": 1}', r", or \] is expected at character 22, where the file ends"),
        ('{"images": [{"id": 1}}', r", or \] is expected at character 22"),
        ('{"images": [{"id": 1 "x"}]}', "',' delimiter at character 22"),
        ('{"images" [1]}', ": is expected at character 11"),
        ("{1: 2}", "a name is expected"),
        ('{"a": 1} {"b": 2}', "something after its end at character 10"),
        ('{"a": [1, ]}', "at character 11"),
        ('{"a": ' + "[" * 100_000, "is broken"),
    ],
)
def test_broken_files_say_where(tmp_path, text, message):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        list(read_items(str(path)))


def test_what_can_not_be_read_says_so(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        list(read_items(str(tmp_path / "none.json")))
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(DatasetError, match="is broken: 'utf-8' codec"):
        list(read_items(str(tmp_path / "latin.json")))


def test_a_mark_at_the_beginning_is_passed_over(tmp_path):
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert list(read_items(str(tmp_path / "bom.json"))) == [("a", 1)]
