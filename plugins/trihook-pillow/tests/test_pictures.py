import base64

import pytest
import trihook
from trihook import Item
from trihook_pillow.pictures import find_picture


@pytest.fixture
def files(encode, scene):
    return {kind: encode(scene, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "media_type",
    ["image/jpeg", "image/png", "image/webp", "image/*", "", "application/octet-stream",
     "application/x-www-form-urlencoded"],
)  # fmt: skip
def test_pictures_are_taken_under_their_media_types_and_under_unspecific_ones(
    files, kind, media_type
):
    assert find_picture(Item(files[kind], media_type)) is files[kind]


@pytest.mark.parametrize("media_type", ["text/plain", "application/pdf", "application/json"])
def test_bytes_under_another_media_type_are_left_to_others(files, media_type):
    assert find_picture(Item(files["JPEG"], media_type)) is None


@pytest.mark.parametrize("data", [b"GIF89a", b"%PDF-1.7", b"a=1&b=2", b""])
@pytest.mark.parametrize("media_type", ["", "application/octet-stream"])
def test_other_bytes_under_an_unspecific_media_type_are_left_to_others(data, media_type):
    assert find_picture(Item(data, media_type)) is None


@pytest.mark.parametrize("media_type", ["image/gif", "image/tiff", "image/svg+xml", "image/heic"])
def test_other_picture_formats_are_refused_by_naming_those_taken(files, media_type):
    expected = f"taken as JPEG, PNG or WEBP; this one is declared as {media_type}"
    with pytest.raises(trihook.UnsupportedMediaTypeError) as caught:
        find_picture(Item(files["GIF"], media_type))
    assert expected in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"garbage", b"GIF89a"])
def test_bytes_declared_as_a_picture_must_begin_like_one(data):
    with pytest.raises(trihook.PayloadError, match="declared as image/jpeg, but begin like no"):
        find_picture(Item(data, "image/jpeg"))


def test_base64_in_json_is_taken(files):
    text = base64.b64encode(files["PNG"]).decode()
    assert find_picture(Item({"image": {"b64": text}})) == files["PNG"]
    assert find_picture(Item({"image": {"b64": text}, "id": 7})) == files["PNG"]


@pytest.mark.parametrize(
    "value", [None, 1, [], {}, "text", {"images": {"b64": ""}}, {"image": [[1]]}, {"image": {}}]
)
def test_other_json_is_left_to_others(value):
    assert find_picture(Item(value)) is None


@pytest.mark.parametrize(
    "text", ["!", "AAA", "/9j/ 4AAQ", "_-8=", "é", "data:image/png;base64,AA=="]
)
def test_what_is_not_strict_base64_is_refused(text):
    with pytest.raises(trihook.PayloadError, match="is not base64"):
        find_picture(Item({"image": {"b64": text}}))


@pytest.mark.parametrize("value", [None, 5, ["AAAA"], {"a": 1}])
def test_base64_must_be_a_string(value):
    with pytest.raises(trihook.PayloadError, match="must be a string of base64"):
        find_picture(Item({"image": {"b64": value}}))


def test_base64_of_something_else_is_refused(files):
    text = base64.b64encode(files["GIF"]).decode()
    with pytest.raises(trihook.PayloadError, match="holds no JPEG, PNG or WEBP picture"):
        find_picture(Item({"image": {"b64": text}}))
