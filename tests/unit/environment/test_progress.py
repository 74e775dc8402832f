import pytest

from visiontrain.environment.progress import UvProgress, format_size


@pytest.fixture
def follow(definition):
    events = []
    progress = UvProgress(definition, total=3, report=events.append)

    def feed(text):
        for line in text.splitlines():
            progress(line)
        return [(event.phase, event.message, event.done, event.total, event.warning) for event in events]

    return feed


def test_an_install(follow):
    events = follow(
        "Using Python 3.11.7 environment at: /x\nResolved 3 packages in 152ms\nDownloading torch (846.9MiB)\n"
        "Downloading numpy (16.0MiB)\n Downloaded numpy\n Downloaded torch\nPrepared 2 packages in 9.51s\n"
        "Installed 3 packages in 270ms\nBytecode compiled 7017 files in 7.08s\n + numpy==2.1\n"
    )
    assert events == [
        ("downloading", "Downloading torch (846.9MiB)", 0, 1, False),
        ("downloading", "Downloading numpy (16.0MiB)", 0, 2, False),
        ("downloading", "Downloaded numpy", 1, 2, False),
        ("downloading", "Downloaded torch", 2, 2, False),
        ("installing", "Prepared 2 packages in 9.51s", 0, 3, False),
        ("installing", "Installed 3 packages in 270ms; compiling bytecode", 3, 3, False),
        ("installing", "Bytecode compiled 7017 files in 7.08s", 3, 3, False),
    ]


def test_warnings(follow):
    events = follow(
        "warning: Requirements file `/x` does not contain any dependencies\n"
        "warning: Failed to hardlink files; falling back to full copy.\n"
    )
    assert events == [("installing", "Failed to hardlink files; falling back to full copy.", None, None, True)]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (2_500, "2 kB"), (812_000_000, "812 MB"), (2_440_000_000, "2.4 GB")]
)
def test_format_size(size, text):
    assert format_size(size) == text
