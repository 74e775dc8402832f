from torch import nn

from visiontrain.torchkit.freezing import begin_training, freeze


def test_a_frozen_batch_norm_keeps_its_statistics_and_others_train():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False), nn.Dropout())
    freeze(model, ["0.weight", "0.bias", "1.weight"])
    begin_training(model)
    assert [module.training for module in model] == [False, True, True, True]
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == ["1.bias"]
