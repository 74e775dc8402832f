"""YAML and XML from strangers: parsed without running, fetching or expanding anything."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from visiontrain.datasets.formats.files import printable
from visiontrain.errors import DatasetError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["BadDocument", "parse_xml", "read_document", "read_yaml"]

_LARGEST = 16 << 20  # bytes: no hand or tool has written more


class BadDocument(Exception):  # noqa: N818 - told as a flaw or as an error, as its file matters
    """What is wrong with a document, in words."""


def read_document(path: str, largest: int = _LARGEST) -> bytes:
    """The bytes of a regular file that is not too large.

    Raises:
        BadDocument: it can't be read.
    """
    try:
        # Not to wait where it is a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadDocument("it is no file that could be read")
            data = file.read(largest + 1)
    except OSError as e:
        raise BadDocument(f"it can't be read: {e.strerror or e}") from e
    if len(data) > largest:
        raise BadDocument(f"it is larger than {largest:,} bytes")
    return data


def read_yaml(path: str) -> dict[str, Any]:
    """The mapping that a YAML file holds; keys that are no text are left out.

    Raises:
        DatasetError: there is none.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a key that is there twice, where YAML's own takes the last."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
                if name in seen and name is not None:
                    raise BadDocument(f"line {key.start_mark.line + 1} has the key {key.value!r} once more")
                seen.add(name)
            return super().construct_mapping(node, deep)

    try:
        found = yaml.load(read_document(path), Loader)  # noqa: S506 - it is a SafeLoader
        if not isinstance(found, dict):
            raise BadDocument("it holds no keys and values")
    except (BadDocument, yaml.YAMLError, RecursionError, ValueError) as e:
        raise DatasetError(
            f"{printable(path)} can't be used: {e}", instruction="Mend it; see the how-to on your own data."
        ) from e
    return {key: value for key, value in found.items() if isinstance(key, str)}


def parse_xml(data: bytes) -> Element:
    """The root of an XML document. One that declares entities is refused: they can blow up, or name other files.

    Raises:
        BadDocument: it is none, or declares entities.
    """
    from xml.etree.ElementTree import TreeBuilder

    builder = TreeBuilder()  # fed by the parser below, which refuses what is dangerous
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)  # noqa: FBT003 - it has no names: the last of the data
    except (expat.ExpatError, LookupError, ValueError) as e:  # the last two of encodings
        raise BadDocument(f"it is no XML: {e}") from e
    return builder.close()


def _refuse(*_: object) -> None:
    raise BadDocument("it declares XML entities, which are refused")
