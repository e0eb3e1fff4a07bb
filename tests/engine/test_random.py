import numpy as np
import pytest

from fastnn._engine import kernels, runtime
from reference import data, dropout

# The lines "philox4x32 10" of tests/kat_vectors in Random123 (D. E. Shaw Research).
ONES, PI = "ffffffff ffffffff", "243f6a88 85a308d3 13198a2e 03707344"
KNOWN = [  # counter, key, words
    ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (f"{ONES} {ONES}", ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (PI, "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hexadecimal(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_oracle_is_philox(counter, key, expected):
    words = data.philox4x32(np.array(hexadecimal(counter)), hexadecimal(key))
    assert words.tolist() == hexadecimal(expected)


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**63 + 12345])
@pytest.mark.parametrize(("stream", "step"), [(0, 0), (1, 0), (17, 2**32 + 3), (2**62 + 5, 2**40)])
def test_the_engine_draws_the_oracles_words(isa, seed, stream, step):
    """A threshold of one half shows one bit of each word: 16,000 of them are proof enough."""
    rows, n = 40, 400
    y, mask = kernels.aligned((rows, n)), kernels.aligned((rows, n // 16), np.uint16)
    kernels.call(
        "dropout_forward",
        rows,
        dict(x=kernels.aligned((rows, n)), y=y, mask=mask),
        dict(n=n, ldx=n, ldy=n, stream=stream, own_seed=(seed + 2**63) % 2**64 - 2**63),  # the key of stream 0
        dict(rate=0.5),
        isa=isa,
        seed=seed,
        step=step,
    )
    bits = np.unpackbits(mask.view(np.uint8), axis=1, bitorder="little").astype(bool)
    np.testing.assert_array_equal(bits, dropout.kept(rows, n, 0.5, seed, stream, step))


def shuffled(n, seed, epoch):
    order = np.full(n, -1, np.int64)
    runtime.shuffle(order, seed, epoch)
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 1000, 60000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (2**64 - 1, 1), (42, 2**33)])
def test_shuffle_is_a_permutation_and_the_oracles(n, seed, epoch):
    order = shuffled(n, seed, epoch)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, data.shuffled(n, seed, epoch))


def test_only_what_may_be_written_to_is_shuffled():
    order = np.arange(10)
    order.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        runtime.shuffle(order, 0, 0)
    with pytest.raises(ValueError, match="int64"):
        runtime.shuffle(np.arange(10, dtype=np.int32), 0, 0)
    np.testing.assert_array_equal(order, np.arange(10))


def test_shuffle_depends_on_seed_and_epoch_only():
    first = shuffled(1000, 7, 3)
    np.testing.assert_array_equal(first, shuffled(1000, 7, 3))
    for seed, epoch in [(8, 3), (7, 4), (3, 7), (7 + 2**32, 3), (7, 3 + 2**32)]:
        assert (first == shuffled(1000, seed, epoch)).sum() < 20


def test_shuffle_is_uniform():
    """Chi-square over the 120 orders of five: at most five deviations above its mean."""
    draws = 60000
    codes = np.zeros(5**5, np.int64)
    for epoch in range(draws):
        codes[shuffled(5, 1, epoch) @ 5 ** np.arange(5)] += 1
    counts = codes[codes > 0]
    assert len(counts) == 120
    assert ((counts - draws / 120) ** 2).sum() / (draws / 120) < 119 + 5 * np.sqrt(2 * 119)


def test_every_place_of_a_long_shuffle_is_uniform():
    """Chi-square over where each of 40 elements lands: at most five deviations off its mean."""
    n, draws = 40, 20000
    counts = np.zeros((n, n))
    for epoch in range(draws):
        counts[np.arange(n), shuffled(n, 2, epoch)] += 1
    statistic, freedom = ((counts - draws / n) ** 2).sum() / (draws / n), (n - 1) ** 2
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_words_are_uniform_and_streams_independent():
    draws = 1 << 18
    streams = [data.words(draws, 5, stream, step) for stream, step in [(0, 0), (1, 0), (0, 1)]]
    for words in streams:
        counts = np.bincount(words >> np.uint32(24), minlength=256)
        assert ((counts - draws / 256) ** 2).sum() / (draws / 256) < 255 + 5 * np.sqrt(2 * 255)
    for other in streams[1:]:
        u = [each / 2.0**32 - 0.5 for each in (streams[0], other)]
        assert abs(np.mean(u[0] * u[1]) * 12) < 5 / np.sqrt(draws)
