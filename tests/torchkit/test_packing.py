import io

import pytest
import torch
from torch import nn

from visiontrain.torchkit.packing import pack


def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 2, 1))
    return model.to(memory_format=torch.channels_last)


def test_packed_tensors_are_what_they_were():
    model = make()
    before = {
        name: (tensor, tensor.clone(), tensor.stride()) for name, tensor in model.state_dict(keep_vars=True).items()
    }
    pieces = pack([tensor for tensor, _, _ in before.values()])
    assert [piece.values.dtype for piece in pieces] == [torch.float32, torch.int64]
    for name, tensor in model.state_dict(keep_vars=True).items():
        same, values, stride = before[name]
        assert tensor is same
        assert torch.equal(tensor, values)
        assert tensor.stride() == stride


def test_one_operation_on_a_piece_reaches_all_of_its_tensors():
    tensors = [torch.ones(3), torch.ones(2, 20), torch.ones(())]
    (piece,) = pack(tensors)
    piece.values.mul_(2)
    assert all((tensor == 2).all() for tensor in tensors)
    assert piece.members == (0, 1, 2)
    assert piece.values.sum() == 2 * (3 + 40 + 1)  # zeros lie between


def test_each_tensor_begins_where_the_allocator_would_let_it_begin():
    tensors = [torch.ones(3), torch.ones(17), torch.ones(1)]
    pack(tensors)
    assert [tensor.data_ptr() % 64 for tensor in tensors] == [0, 0, 0]


@pytest.mark.parametrize(
    "left", [torch.ones(4)[1:], torch.ones(1).expand(3), torch.ones(4, 4)[:, ::2], torch.empty(0)],
    ids=["a part", "a repetition", "gaps", "nothing"],
)  # fmt: skip
def test_what_does_not_fill_its_memory_alone_stays_where_it_is(left):
    place, whole = left.data_ptr(), torch.ones(5)
    packed, alone = pack([left, whole])
    assert packed.members == (1,)
    assert alone.values is left
    assert left.data_ptr() == place


def test_tensors_that_share_memory_go_on_to():
    first = torch.ones(2, 3)
    second = first.view(6)
    pieces = pack([first, second])
    first.add_(1)
    assert (second == 2).all()
    assert [piece.values is tensor for piece, tensor in zip(pieces, (first, second), strict=True)] == [True, True]


def test_a_piece_says_where_a_tensor_lies_in_its_like():
    model = make()
    tensors = list(model.parameters())
    (piece,) = pack(tensors)
    like = piece.values.detach() * 3
    for tensor in tensors:
        view = piece.view(tensor, like)
        assert torch.equal(view, tensor * 3)
        assert view.stride() == tensor.stride()


def test_a_model_learns_the_same_packed():
    data = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = []
    for packed in (False, True):
        model = make()
        if packed:
            pack([*model.parameters(), *model.buffers()])
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        for _ in range(3):
            optimizer.zero_grad()
            model(data).square().mean().backward()
            optimizer.step()
        found.append(model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_file_of_a_packed_model_is_no_larger():
    sizes = []
    for packed in (False, True):
        model = make()
        if packed:
            pack(list(model.state_dict(keep_vars=True).values()))
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        sizes.append(len(file.getvalue()))
    assert sizes[1] <= sizes[0]
