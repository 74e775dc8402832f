import pytest

from visiontrain.environment.advice import advice, import_advice


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("cause: No space left on device (os error 28)", "disk is full"),
        ("hint: Packages were unavailable because the network was disabled.", "UV_OFFLINE"),
        ("cause: dns error", "can't be reached"),
        ("error: 401 Unauthorized", "credentials"),
        ("cause: Hash mismatch for `torch==2.15.0`", "other files"),
        ("has no wheels with a matching platform tag (e.g., `manylinux_2_36_x86_64`)", "does not fit this machine"),
        ("Permission denied (os error 13)", "can't be written to"),
        ("  x Failed to build `unbuildable==1.0`", "no wheel for this machine"),
        ("something else", "--verbose"),
    ],
)
def test_advice(output, part):
    assert part in advice(output)


@pytest.mark.parametrize(
    ("output", "part"),
    [
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "library libGL.so.1 with",
        ),
        ("OSError: /opt/x/libcudnn.so.9: cannot open shared object file", "library /opt/x/libcudnn.so.9 with"),
        ("ImportError: numpy.core.multiarray failed to import", "packages that do not fit"),
    ],
)
def test_advice_on_an_import(output, part):
    assert part in import_advice(output)
