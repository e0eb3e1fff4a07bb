"""Descriptions in images, which Python reads: whatever is in them, the answer is a ValueError or a network."""

import random
import struct

import pytest

from fastnn.freeze import from_image
from fastnn.freeze.image import with_checksum
from freeze import networks


def changed(image, draw):
    image = bytearray(image)
    start, nbytes = struct.unpack_from("<QQ", image, 112)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at, kind = start + draw.randrange(nbytes), draw.randrange(4)
        if kind == 0:
            image[at] = draw.choice(b'0123456789,[]{}":-e.ntaf')
        elif kind == 1:
            image[at] ^= 1 << draw.randrange(8)
        elif kind == 2:  # other words of it
            other, length = start + draw.randrange(nbytes), draw.randrange(1, 20)
            if max(at, other) + length < start + nbytes:
                image[at : at + length] = image[other : other + length]
        else:
            digits = [i for i in range(at, min(at + 50, start + nbytes)) if chr(image[i]).isdigit()]
            image[digits[0] if digits else at] = draw.choice(b"0123456789")
    return with_checksum(image)


@pytest.mark.parametrize("make", [*networks.ALL, networks.several])
def test_damaged_descriptions(make):
    image = bytes(make().freeze().image)
    draw = random.Random(1)
    opened, messages = 0, []
    for _ in range(150):
        try:
            frozen = from_image(changed(image, draw))
            opened += 1
            frozen.graph  # made when it is asked for
        except ValueError as error:
            messages.append(str(error))
    assert opened > 10
    assert all("frozen network" in message for message in messages)
