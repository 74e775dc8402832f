from xml.etree import ElementTree as ET

from visiontrain.svg import Drawing, shortened, width_of

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing):
    return ET.fromstring(drawing.to_bytes())


def test_any_name_is_text_of_a_whole_file():
    drawing = Drawing(100, 50, "a <title> & 'more'")
    names = ['white <cell> & "rest"', "红细胞 ü", "bytes \udcff that are no text \x00"]
    for name in names:
        drawing.text(1, 2, name, size=12)
    root = parsed(drawing)
    assert root.find(f"{SVG}title").text == "a <title> & 'more'"
    assert [each.text for each in root.iter(f"{SVG}text")] == [*names[:2], "bytes \ufffd that are no text \ufffd"]
    assert (root.get("viewBox"), root.get("width")) == ("0 0 100 50", "100")


def test_a_line_is_without_points_that_tell_nothing():
    drawing = Drawing(10, 10, "line")
    drawing.line([(0, 5), (1, 5), (2, 5), (3, 7), (4, 5), (5, 5)], stroke="#000", hint="a<b")
    line = parsed(drawing).find(f"{SVG}polyline")
    assert line.get("points") == "0,5 2,5 3,7 4,5 5,5"
    assert line.find(f"{SVG}title").text == "a<b"


def test_names_are_cut_off_where_they_have_no_room():
    assert shortened("short", 100, 10) == "short"
    cut = shortened("a very long name of a class", 100, 10)
    assert cut.startswith("a very")
    assert cut.endswith("…")
    assert width_of(cut, 10) <= 100
    assert width_of("红细胞", 10) > width_of("red", 10)
