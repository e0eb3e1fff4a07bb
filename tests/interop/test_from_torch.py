"""Modules of PyTorch as models: they compute what the modules do in inference, and can be trained."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

torch = pytest.importorskip("torch", reason="its modules are read")
nn = torch.nn
functional = torch.nn.functional


def compare(module, *shapes, tolerance=1e-5, given=True, numbers=None):
    """The module in inference mode, beside the model and what is frozen of it."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.7, 0.9)
    data = [torch.randn(16, *shape) if numbers is None else numbers for shape in shapes]
    module.train()(*data)  # moves the statistics
    module.eval()
    model = fastnn.from_torch(module, (list(shapes) if len(shapes) > 1 else shapes[0]) if given else None)
    arrays = [each.numpy() for each in data]
    with torch.no_grad():
        wanted = module(*data)
    wanted = wanted if isinstance(wanted, (tuple, list)) else [wanted]
    for one in (model, model.freeze()):
        got = one.predict(arrays if len(arrays) > 1 else arrays[0])
        got = got if isinstance(got, (tuple, list)) else [got]
        for ours, theirs in zip(got, wanted, strict=True):
            assert ours.shape == tuple(theirs.shape)
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance)
    return model


def test_a_stack_of_dense_layers_tells_its_input():
    torch.manual_seed(1)
    fastnn.utils.set_random_seed(1)
    inner = nn.Sequential(nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8, eps=0.01, momentum=0.3, affine=False))
    module = nn.Sequential(
        nn.Dropout(0.1), nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ELU(0.7), inner, nn.LayerNorm(8), nn.Dropout(0.3),
        nn.Identity(), nn.Linear(8, 3), nn.Softmax(dim=1),
    )  # fmt: skip
    model = compare(module, (5,), given=False)
    kinds = [type(each).__name__ for each in model.layers[1:]]
    assert kinds == ["Dropout", "Dense", "BatchNormalization", "ELU", "Dense", "BatchNormalization",
                     "LayerNormalization", "Dropout", "Dense", "Softmax"]  # fmt: skip
    assert model.get_layer("batchnorm1d_4_1").momentum == pytest.approx(0.7)
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(1).normal(size=(64, 5))
    y = x[:, :3].argmax(1)
    losses = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert compare(nn.Linear(4, 2), (4,), given=False).output_shape == (None, 2)


def test_every_activation():
    several = [
        nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.5), nn.SELU(), nn.CELU(0.7), nn.GELU(), nn.GELU("tanh"),
        nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softplus(2.0), nn.Softsign(), nn.Softmax(-1),
        nn.LogSoftmax(1), nn.Hardtanh(-0.5, 0.8), nn.Hardsigmoid(), nn.Hardswish(), nn.LogSigmoid(), nn.Softshrink(0.3),
        nn.Hardshrink(0.4), nn.Tanhshrink(), nn.Threshold(0.1, 0.0), nn.PReLU(), nn.PReLU(6), nn.RReLU(0.1, 0.3),
        nn.GLU(), nn.AlphaDropout(0.1), nn.RMSNorm(6), nn.GroupNorm(2, 6),
    ]  # fmt: skip

    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.several = nn.ModuleList(several)

        def forward(self, x):
            return [each(x) for each in self.several]

    compare(Many(), (6,), tolerance=2e-5)


def test_values_of_more_axes():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.all, self.dense = nn.BatchNorm1d(3), nn.LayerNorm((3, 4), bias=False), nn.Linear(4, 5)
            self.slopes, self.groups, self.split = nn.PReLU(3), nn.GroupNorm(3, 3), nn.Unflatten(1, (5, -1))

        def forward(self, x):
            y = self.dense(self.all(self.slopes(self.norm(x))) + self.groups(x))
            y = self.split(y.transpose(1, 2).flatten(1))
            a, b, c = y.permute(0, 2, 1).chunk(3, dim=1)
            first, rest = torch.split(y, [1, 4], dim=1)
            return (
                y.mean(-1),
                (a * b - c).sum(dim=(1, 2), keepdim=True),
                torch.stack([first.squeeze(1), y[:, -1]], 1),
                rest,
            )

    compare(Rows(), (3, 4))


def test_what_is_done_by_functions():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.out = nn.Linear(6, 6), nn.Linear(16, 3)
            self.scale = nn.Parameter(torch.ones(6))

        def forward(self, x, y, mask=None):
            hidden = functional.dropout(functional.relu(self.inner(x)), 0.2, self.training)
            hidden = hidden + x * self.scale
            hidden = self.inner(hidden)  # the same weights again
            hidden += 2 * torch.tanh(x) - (1.0 - x) / 4
            hidden = functional.gelu(hidden, approximate="tanh").clamp(-1, 1)
            joined = torch.cat([hidden, y.view(y.size(0), -1), x[:, 1:3], x[:, None, ::2][:, 0, :2]], dim=-1)
            scores = functional.leaky_relu(self.out(joined), 0.1) ** 2
            return functional.softmax(scores.reshape(x.shape[0], 3), dim=-1), functional.linear(x, self.inner.weight)

    model = compare(Residual(), (6,), (2, 3))
    assert sum(type(each) is layers.Dense for each in model.layers) == 3
    assert [each.name for each in model.inputs] == ["x", "y"]


def test_tables():
    numbers = torch.tensor([[0, 3, 1], [4, 4, 2]])
    compare(nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2)), (3,), numbers=numbers)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class OverSamples(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Conv1d(2, 2, 1)),
            r"module '0' cannot be read: this module is not supported. Supp",
        ),
        (nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)), "no running statistics"),
        (nn.Sequential(nn.BatchNorm1d(4, momentum=None)), "momentum=None"),
        (nn.Sequential(nn.Flatten(0)), "samples of a batch"),
        (nn.Sequential(nn.Softplus(threshold=1)), "threshold=1.*at least 14"),
        (Branching(), "torch.fx cannot trace Branching"),
        (OverSamples(), r"mean \('mean'\) cannot be read: .*counts the samples"),
    ],
)
def test_what_cannot_be_read_is_refused(module, message):
    with pytest.raises(ValueError, match=message):
        fastnn.from_torch(module, (4,))


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="Received: int"):
        fastnn.from_torch(3)
    with pytest.raises(ValueError, match=r"input_shape=\(\.\.\.\)"):
        fastnn.from_torch(nn.Sequential(nn.ReLU(), nn.Flatten()))
