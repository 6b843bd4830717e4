import pytest
from trihook_pillow import recognise


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_are_recognised_by_their_signature(encode, scene, kind):
    assert recognise(encode(scene, kind)) == kind


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PDF", "JPEG2000"])
def test_other_formats_are_not_recognised(encode, scene, kind):
    assert recognise(encode(scene, kind)) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\x89PNG", b"RIFF", b"RIFF\0\0\0\0WAVEfmt "])
def test_the_beginning_of_a_signature_is_not_enough(data):
    assert recognise(data) is None
