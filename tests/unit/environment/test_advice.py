import pytest

from visiontrain.environment.advice import advice


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
        ("something else", "--verbose"),
    ],
)
def test_advice(output, part):
    assert part in advice(output)
