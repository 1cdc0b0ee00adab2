"""Pictures of every kind are decoded to what a viewer shows."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.datasets.decoded import decode
from trainables.errors import DataError

GRADIENT = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint16) * 8  # 0 to 240


def decoded(path: Path, channels: int = 3, depth: int = 16) -> np.ndarray:
    return decode(str(path), 16, channels, depth).astype(int)


def write_png_of_16_bits(path: Path, pixels: np.ndarray) -> None:
    """Write [H, W, K] of 16 bits a channel, which Pillow cannot write for K > 1."""
    height, width, channels = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


class TestSixteenBits:
    @pytest.mark.parametrize(("depth", "factor"), [(8, 1), (12, 16), (16, 256)])
    @pytest.mark.parametrize("kind", ["x.png", "x.tif", "x.jp2", "x.pgm", "colour.png", "alpha.png"])
    def test_all_files_are_read_alike(self, tmp_path, kind, depth, factor):
        pixels = GRADIENT * factor
        path = tmp_path / kind
        if kind == "x.pgm":
            path.write_bytes(b"P5 16 16 65535\n" + pixels.astype(">u2").tobytes())
        elif kind == "colour.png":
            write_png_of_16_bits(path, np.dstack([pixels] * 3))
        elif kind == "alpha.png":
            write_png_of_16_bits(path, np.dstack([pixels, np.full_like(pixels, 65535)]))
        else:
            Image.fromarray(pixels).save(path)
        for channels in (1, 3):
            np.testing.assert_array_equal(decoded(path, channels, depth)[0], GRADIENT)

    @pytest.mark.parametrize("kind", ["P5", "P6"])
    def test_the_largest_value_of_a_pnm_file_is_white(self, tmp_path, kind):
        pixels = GRADIENT * 16
        data = pixels if kind == "P5" else np.dstack([pixels] * 3)
        path = tmp_path / "x.pnm"
        path.write_bytes(f"{kind} 16 16 3840\n".encode() + data.astype(">u2").tobytes())
        assert np.abs(decoded(path)[0] - np.rint(GRADIENT * 255 / 240)).max() <= 1

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_more_bits_are_an_error(self, tmp_path, dtype):
        Image.fromarray(GRADIENT.astype(dtype)).save(tmp_path / "x.tif")
        with pytest.raises(DataError, match="32 bits a pixel, but 8 or 16 are read; convert it"):
            decoded(tmp_path / "x.tif")


class TestTransparency:
    @pytest.mark.parametrize("hidden", [(255, 0, 0), (0, 0, 0), (3, 200, 77)])
    def test_hidden_colours_do_not_show(self, tmp_path, hidden):
        picture = Image.new("RGBA", (16, 16), (*hidden, 0))
        picture.paste((10, 20, 30, 255), (0, 0, 16, 8))
        picture.save(tmp_path / "x.png")
        top, bottom = decoded(tmp_path / "x.png")[:, :8], decoded(tmp_path / "x.png")[:, 8:]
        assert (bottom == 255).all()
        assert (top == np.array([10, 20, 30])[:, None, None]).all()

    def test_half_transparent_is_half_white(self, tmp_path):
        Image.new("LA", (16, 16), (0, 128)).save(tmp_path / "x.png")
        assert np.unique(decoded(tmp_path / "x.png", channels=1)).tolist() == [127]

    def test_a_palette_with_a_transparent_colour_lies_on_white(self, tmp_path):
        picture = Image.new("P", (16, 16), 0)
        picture.putpalette([255, 0, 0, 0, 0, 255])
        picture.paste(1, (0, 0, 16, 8))
        for name in ("x.png", "x.gif"):
            picture.save(tmp_path / name, transparency=0)
            pixels = decoded(tmp_path / name)
            assert pixels[:, 0, 0].tolist() == [0, 0, 255]
            assert pixels[:, 15, 0].tolist() == [255, 255, 255]

    def test_an_opaque_alpha_channel_changes_nothing(self, tmp_path):
        colours = np.random.default_rng(0).integers(256, size=(16, 16, 3), dtype=np.uint8)
        Image.fromarray(colours).save(tmp_path / "rgb.png")
        Image.fromarray(np.dstack([colours, np.full((16, 16), 255, np.uint8)])).save(tmp_path / "rgba.png")
        for channels in (1, 3):
            plain, opaque = (decoded(tmp_path / name, channels) for name in ("rgb.png", "rgba.png"))
            np.testing.assert_array_equal(plain, opaque)


class TestColours:
    @pytest.mark.parametrize(
        ("name", "mode"), [("x.jpg", "CMYK"), ("x.tif", "CMYK"), ("x.tif", "LAB"), ("x.png", "P"), ("x.jpg", "YCbCr")]
    )
    def test_red_stays_red_and_has_a_grey(self, tmp_path, name, mode):
        red = Image.new("RGB", (16, 16), (220, 30, 40))
        (red.quantize() if mode == "P" else red.convert(mode)).save(tmp_path / name)
        assert np.abs(decoded(tmp_path / name)[:, 5, 5] - [220, 30, 40]).max() <= 12
        assert abs(decoded(tmp_path / name, channels=1)[0, 5, 5] - red.convert("L").getpixel((5, 5))) <= 12

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_pictures_are_turned_as_their_exif_says(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = GRADIENT.astype(np.uint8)
        pixels[:8, :8] = 255
        quarters = {3: 2, 6: 3, 8: 1}
        Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
        found = decoded(tmp_path / "x.png", channels=1)[0]
        if orientation in quarters:
            np.testing.assert_array_equal(found, np.rot90(pixels, quarters[orientation]))
        corner = {1: (0, 0), 2: (0, 15), 3: (15, 15), 4: (15, 0), 5: (0, 0), 6: (0, 15), 7: (15, 15), 8: (15, 0)}
        assert found[corner[orientation]] == 255

    def test_a_deep_picture_is_turned_too(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.fromarray(GRADIENT).save(tmp_path / "x.png", exif=exif)
        np.testing.assert_array_equal(decoded(tmp_path / "x.png", 1, 8)[0], np.rot90(GRADIENT, 2))

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF")
    def test_a_damaged_exif_part_is_ignored(self, tmp_path):
        Image.new("RGB", (16, 16), "white").save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
        assert (decoded(tmp_path / "x.jpg") == 255).all()

    def test_the_first_page_of_many_is_read(self, tmp_path):
        pages = [Image.new("RGB", (16, 16), colour) for colour in ("white", "black")]
        pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
        assert (decoded(tmp_path / "x.tif") == 255).all()


class TestReasons:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "the file is empty"),
            (b"<!DOCTYPE html><p>Not found", "it is a text, such as a web page, and no picture"),
            (b"version https://git-lfs.github.com/spec/v1\n", r"it is a pointer of Git LFS; run `git lfs pull`"),
            (b"\x00\x01\x02" * 9, r"it is no picture that Pillow knows \(27 bytes\)"),
        ],
    )
    def test_the_reason_says_what_the_file_is(self, tmp_path, content, reason):
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(DataError, match=f"^{reason}$"):
            decoded(tmp_path / "x.png")

    @pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp"])
    def test_a_truncated_picture_is_an_error_of_one_line(self, tmp_path, name):
        Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError) as raised:
            decoded(tmp_path / name)
        assert len(str(raised.value).splitlines()) == 1

    def test_a_file_that_may_not_be_read_is_an_error(self, tmp_path):
        (tmp_path / "x.png").mkdir()
        with pytest.raises(DataError, match="Is a directory"):
            decoded(tmp_path / "x.png")
