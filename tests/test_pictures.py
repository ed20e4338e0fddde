"""Pictures for the model: what is made of the customers' files, and what a hostile one cannot do."""

from __future__ import annotations

import asyncio
import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags
from PIL import Image as pillow  # noqa: N813  Image is the model's
from pillow_heif import register_heif_opener

from gateway.assistant import pictures as module
from gateway.assistant.model import Image
from gateway.assistant.pictures import (
    FEW_COLOURS,
    MAX_AVIF_BYTES,
    MAX_BYTES,
    MAX_EDGE,
    MAX_READS,
    MAX_SCANS,
    MAX_SIDE,
    READABLE,
    Pictures,
)

register_heif_opener()

RED, BLUE = (200, 30, 30), (30, 30, 200)


def written(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width, height, mode="RGB"):
    """Return a picture of many colours, red on the left and blue on the right."""
    halves = pillow.new("RGB", (width, height), BLUE)
    halves.paste(RED, (0, 0, width // 2, height))
    grain = pillow.effect_noise((width, height), 40).convert("RGB")
    return pillow.blend(halves, grain, 0.2).convert(mode)


def drawing(width, height, mode="RGB"):
    """Return a picture of two colours."""
    image = pillow.new("RGB", (width, height), BLUE)
    image.paste(RED, (0, 0, width // 2, height))
    return image.convert(mode)


def gps():
    exif = pillow.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return exif.tobytes()


def orientation(value):
    exif = pillow.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif.tobytes()


def opened(image):
    """Return the picture that the model would see."""
    assert image is not None
    seen = pillow.open(io.BytesIO(image.content))
    seen.load()
    assert image.content_type == f"image/{(seen.format or '').lower()}"
    return seen


def is_like(pixel, colour):
    return all(abs(a - b) < 60 for a, b in zip(pixel, colour, strict=True))


async def fit(content, content_type="image/jpeg"):
    return await Pictures().fit(content, content_type)


@pytest.mark.parametrize(
    ("kind", "content_type", "mode"),
    [
        ("JPEG", "image/jpeg", "RGB"),
        ("JPEG", "image/jpg", "L"),
        ("JPEG", "image/jpeg", "CMYK"),
        ("MPO", "image/jpeg", "RGB"),
        ("PNG", "image/png", "RGB"),
        ("PNG", "image/png", "RGBA"),
        ("PNG", "image/png", "P"),
        ("PNG", "image/png", "1"),
        ("GIF", "image/gif", "P"),
        ("WEBP", "image/webp", "RGB"),
        ("HEIF", "image/heic", "RGB"),
        ("HEIF", "image/heif", "RGBA"),
        ("TIFF", "image/tiff", "RGB"),
        ("TIFF", "image/tiff", "CMYK"),
        ("BMP", "image/bmp", "RGB"),
        ("AVIF", "image/avif", "RGB"),
    ],
)
@pytest.mark.parametrize("width", [64, MAX_SIDE + 100])
async def test_every_readable_format_becomes_a_picture(kind, content_type, mode, width):
    """What phones, scanners and mail programs send arrives as a format that the model takes, and shows the same."""
    image = await fit(written(photo(width, 64).convert(mode), kind), content_type)

    seen = opened(image)
    assert image.content_type in ("image/jpeg", "image/png", "image/webp", "image/gif")
    assert max(seen.size) == min(width, MAX_SIDE)
    grey = mode in ("L", "1")
    left, right = (seen.convert("RGB").getpixel((int(seen.width * x), seen.height // 2)) for x in (0.25, 0.75))
    assert grey or (is_like(left, RED) and is_like(right, BLUE))


def test_a_readable_type_is_written_as_it_is_compared():
    """The list is in lower case, without parameters and without repetition."""

    assert all(name == name.lower().strip() and ";" not in name for name in READABLE)
    assert len(set(READABLE)) == len(READABLE)


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGB"), ("GIF", "P")]
)
async def test_a_picture_that_fits_passes_unchanged(kind, mode):
    """Nothing is lost where nothing has to be done, not even the EXIF that says that it stands upright."""
    options = {"exif": orientation(1)} if kind != "GIF" else {}
    content = written(photo(300, 200).convert(mode), kind, **options)

    assert await fit(content, f"image/{kind.lower()}") == Image(content, f"image/{kind.lower()}")


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/PNG", "image/png; charset=binary"])
async def test_the_bytes_say_what_a_picture_is(content_type):
    """A JPEG that was sent as a PNG goes to the model as a JPEG."""
    content = written(photo(30, 20), "JPEG")

    assert await fit(content, content_type) == Image(content, "image/jpeg")


@pytest.mark.parametrize("content_type", ["application/pdf", "text/html", "image/svg+xml", "image/", ""])
async def test_what_is_not_said_to_be_a_picture_is_not_opened(content_type):
    """A file of another type is nobody's picture, whatever its bytes are."""

    assert await fit(written(photo(30, 20), "JPEG"), content_type) is None


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("JPEG", (4032, 3024), (2048, 1536)),
        ("JPEG", (3024, 4032), (1536, 2048)),
        ("PNG", (2049, 2049), (2048, 2048)),
        ("PNG", (20_000, 3), (2048, 1)),
        ("TIFF", (3000, 10), (2048, 7)),
    ],
)
async def test_a_large_picture_is_scaled(kind, size, expected):
    """The longer side becomes what the model looks at, and the shape stays."""

    assert opened(await fit(written(photo(*size), kind), f"image/{kind.lower()}")).size == expected


async def test_a_picture_of_too_many_bytes_gets_a_lower_quality():
    """Noise, which no encoder makes small, still ends below the limit."""
    noise = pillow.merge("RGB", [pillow.effect_noise((MAX_SIDE, MAX_SIDE), 250) for _ in range(3)])
    content = written(noise, "PNG")
    image = await fit(content, "image/png")

    assert len(written(noise, "JPEG", quality=85)) > MAX_BYTES
    assert opened(image).size == noise.size
    assert len(image.content) <= MAX_BYTES


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize(
    ("value", "red_at"),
    [
        (1, (0.25, 0.5)),
        (2, (0.75, 0.5)),
        (3, (0.75, 0.5)),
        (4, (0.25, 0.5)),
        (5, (0.5, 0.25)),
        (6, (0.5, 0.25)),
        (7, (0.5, 0.75)),
        (8, (0.5, 0.75)),
    ],
)
async def test_a_picture_is_turned_upright(kind, value, red_at):
    """What EXIF says about how the camera was held is done to the pixels, once, and said no more."""
    seen = opened(await fit(written(photo(96, 64), kind, exif=orientation(value)), f"image/{kind.lower()}"))

    x, y = int(seen.width * red_at[0]), int(seen.height * red_at[1])
    assert seen.size == ((96, 64) if value <= 4 else (64, 96))
    assert is_like(seen.convert("RGB").getpixel((x, y)), RED)
    assert is_like(seen.convert("RGB").getpixel((seen.width - 1 - x, seen.height - 1 - y)), BLUE)
    assert seen.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"exif": gps()}),
        ("JPEG", {"xmp": b"<x:xmpmeta>52,31.2N</x:xmpmeta>"}),
        ("PNG", {"exif": gps()}),
        ("WEBP", {"exif": gps()}),
        ("WEBP", {"xmp": b"<x:xmpmeta>52,31.2N</x:xmpmeta>"}),
        ("TIFF", {"exif": gps()}),
        ("HEIF", {"exif": gps()}),
        ("AVIF", {"exif": gps()}),
    ],
)
async def test_where_a_picture_was_taken_stays_here(kind, options):
    """No coordinates leave the house, however small the picture is."""
    content = written(photo(90, 60), kind, comment=b"52,31.2N", **options)
    image = await fit(content, f"image/{kind.lower()}")

    seen = opened(image)
    assert seen.size == (90, 60)
    assert dict(seen.getexif()) == {}
    assert not {"exif", "xmp", "comment", "icc_profile"} & seen.info.keys()
    assert not any(word in image.content for word in (b"Exif", b"xmpmeta", b"52,31"))


@pytest.mark.parametrize("picture", [drawing(400, 300).quantize(2), drawing(400, 300, "RGBA")])
async def test_a_drawing_is_kept_sharp(picture):
    """Few colours go as PNG, without loss, where that is smaller."""
    seen = opened(await fit(written(picture, "TIFF"), "image/tiff"))

    assert seen.format == "PNG"
    assert len(seen.convert("RGB").getcolors(FEW_COLOURS)) == 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
async def test_what_is_transparent_becomes_white(kind, mode):
    """Dark writing on nothing must not become dark writing on black."""
    picture = pillow.new("LA", (2100, 40), (0, 0))
    picture.paste((20, 255), (1050, 0, 2100, 40))
    picture = picture.convert("RGBA")
    content = written(picture.quantize() if mode == "P" else picture.convert(mode), kind)
    seen = opened(await fit(content, f"image/{kind.lower()}")).convert("RGB")

    # TIFF has no transparent palette: it is black before and after.
    assert seen.getpixel((10, 10)) == ((255, 255, 255) if (kind, mode) != ("TIFF", "P") else (0, 0, 0))
    assert max(seen.getpixel((2000, 10))) < 40


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32_768, 128), (65_535, 255)])
async def test_sixteen_bits_become_eight(kind, value, expected):
    """A grey of sixteen bits keeps its brightness."""
    seen = opened(await fit(written(pillow.new("I;16", (40, 30), value), kind), f"image/{kind.lower()}"))

    assert seen.mode == "L"
    assert abs(seen.getpixel((5, 5)) - expected) <= 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_of_an_animation_the_first_picture_counts(kind):
    """The model takes no animations, so it gets the picture that everybody sees first."""
    frames = [pillow.new("RGB", (60, 40), colour) for colour in (RED, BLUE, BLUE)]
    content = written(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    seen = opened(await fit(content, f"image/{kind.lower()}"))

    assert getattr(seen, "n_frames", 1) == 1
    assert is_like(seen.convert("RGB").getpixel((5, 5)), RED)


async def test_a_gif_of_ten_thousand_pictures_is_read_as_one():
    """Only the first picture costs anything."""
    frame = written(drawing(500, 500).quantize(2), "GIF")
    start = frame.index(b",")  # the descriptor of the first picture; before it stand the colours
    seen = opened(await fit(frame[:start] + frame[start:-1] * 10_000 + b";", "image/gif"))

    assert seen.size == (500, 500)
    assert getattr(seen, "n_frames", 1) == 1


@pytest.mark.parametrize("jfif", [True, False])
async def test_a_picture_with_broken_exif_is_shown_without_it(jfif):
    """Many programs write EXIF that ends too early; the pixels are fine, and what is left of it stays here."""
    content = written(photo(60, 40), "JPEG", exif=gps())
    start = content.index(b"Exif\0\0")
    broken = content[: start + 14] + b"\xff\0" + content[start + 16 :]  # 255 tags, of which there are not so many
    if not jfif:  # Pillow then looks for the resolution in the EXIF, as soon as it opens the file
        broken = broken[:2] + broken[start - 4 :]
    image = await fit(broken)

    assert opened(image).size == (60, 40)
    assert broken[start + 6 : start + 60] not in image.content
    assert image.content != broken


async def test_a_photo_with_a_broken_list_of_photos_is_one():
    """Phones append further pictures, and what resizes photos forgets to correct the list of them."""
    content = written(photo(60, 40), "MPO", save_all=True, append_images=[photo(30, 20)])
    start = content.index(b"MPF\0")

    assert opened(await fit(content[: start + 8] + bytes(8) + content[start + 16 :])).size == (60, 40)


# What a stranger may send.


def png_bomb(width, height):
    """Return a small file that says that it is a picture of this size."""
    image = written(pillow.new("L", (1, 1)), "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + image[24:29]
    return image[:12] + header + struct.pack(">I", zlib.crc32(header)) + image[33:]


def jpeg_bomb(width, height, **options):
    content = written(photo(64, 64), "JPEG", **options)
    start = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    return content[: start + 5] + struct.pack(">HH", height, width) + content[start + 9 :]


def jpeg_of_many(segment, count):
    content = written(photo(64, 64), "JPEG")
    return content[:2] + segment * count + content[2:]


def jpeg_of_many_scans(count):
    content = written(photo(640, 640), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * count + content[-2:]


def webp_bomb(side):
    """Return the header of a file whose canvas has this side; Pillow's decoder makes the canvas when it opens it."""
    canvas = struct.pack("<I", side - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas * 2 + written(photo(8, 8), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_of(*tags, after=b""):
    """Return a TIFF with one directory of these (tag, type, count, value)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + after


GREY = ((256, 4, 1, 1000), (257, 4, 1, 1000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (278, 4, 1, 1))


def tiff_of_strips(count):
    """Return a TIFF of so many strips, which become as many tuples in Pillow."""
    tags = (*GREY, (273, 4, count, 200), (279, 4, count, 200 + 4 * count))
    return tiff_of(*tags, after=bytes(200) + struct.pack("<I", 8) * count * 2)


def tiff_with_directories(numbers):
    """Return a TIFF whose GPS directory has a tag of so many numbers, and itself in itself."""
    gps_directory = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 2, 3, numbers, 8, 0x8825, 4, 1, 146) + bytes(4)
    tags = (*GREY, (273, 4, 1, 8), (279, 4, 1, 1000), (0x8825, 4, 1, 146))
    return tiff_of(*tags, after=bytes(146 - 8 - 2 - 12 * 9 - 4) + gps_directory + bytes(2 * numbers))


def big_tiff():
    """Return a BigTIFF that also a reader of TIFF finds in order: it sees no tags."""
    content = written(photo(30, 20), "TIFF", big_tiff=True)
    (directory,) = struct.unpack_from("<Q", content, 8)
    moved = content + bytes(65_536 - len(content)) + content[directory:]
    return moved[:8] + struct.pack("<Q", 65_536) + moved[16:]


def exif_of(numbers, tag):
    """Return a tag that is so many fractions."""
    entry = struct.pack("<IHHHII", 8, 1, tag, 5, numbers, 26)
    return b"II*\0" + entry + bytes(4) + b"\1\0\0\0" * 2 * numbers


def jpeg_with_exif(data):
    """Return a JPEG whose EXIF fills several segments."""
    pieces = [b"Exif\0\0" + data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(piece) + 2) + piece for piece in pieces)
    content = written(photo(30, 20), "JPEG")
    return content[:2] + segments + content[20:]  # without JFIF, so that Pillow looks for the resolution in the EXIF


def png_with(kind, data):
    content = written(photo(30, 20), "PNG")
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content[:33] + chunk + content[33:]


HOSTILE = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 40,
    "a page": b"<!doctype html><title>Not found</title>",
    "a document": b"%PDF-1.7\n" + bytes(200),
    "a PostScript program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "half a JPEG": written(photo(300, 200), "JPEG")[:4000],
    "a JPEG's header": written(photo(300, 200), "JPEG")[:300],
    "half a PNG": written(photo(300, 200), "PNG")[:4000],
    "half a WebP": written(photo(300, 200), "WEBP")[:2000],
    "half a GIF": written(photo(300, 200, "P"), "GIF")[:4000],
    "half a HEIC": written(photo(300, 200), "HEIF")[:2000],
    "half an AVIF": written(photo(300, 200), "AVIF")[:1000],
    "half a TIFF": written(photo(300, 200), "TIFF")[:4000],
    "half a BMP": written(photo(300, 200), "BMP")[:4000],
    "a PNG bomb": png_bomb(50_000, 50_000),
    "a PNG that Pillow only warns of": png_bomb(10_000, 10_000),
    "a PNG of one column": written(pillow.new("L", (1, MAX_EDGE + 1)), "PNG"),
    "a PNG of no row": png_bomb(1, 0),
    "the largest JPEG": jpeg_bomb(65_535, 65_535),
    "a large JPEG of many scans": jpeg_bomb(8_000, 8_000, progressive=True),
    "a large WebP": webp_bomb(16_384),
    "a WebP that Pillow would open": webp_bomb(8_000),
    "a HEIC of too many pixels": written(pillow.new("L", (8_000, 4_000)), "HEIF"),
    "scans without end": jpeg_of_many_scans(MAX_SCANS + 1),
    "segments without end": jpeg_of_many(b"\xff\xed\x00\x02", MAX_READS),
    "EXIF without end in a JPEG": jpeg_with_exif(exif_of(100_000, 0x0128)),
    "EXIF without end in a PNG": png_with(b"eXIf", exif_of(100_000, 0x0112)),
    "an AVIF of too many bytes": written(photo(30, 20), "AVIF") + bytes(MAX_AVIF_BYTES),
    "strips without end": tiff_of_strips(200_000),
    "EXIF's directories without end": tiff_with_directories(200_000),
    "a directory in itself": tiff_with_directories(1),
    "a BigTIFF": big_tiff(),
    "measurements": written(pillow.new("F", (30, 20)), "TIFF"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("content_type", ["image/jpeg", "image/png"])
async def test_a_file_that_cannot_be_read_is_no_picture(name, content_type):
    """Whatever a stranger sends, the answer is that there is no picture, and nothing raises."""

    assert await fit(HOSTILE[name], content_type) is None


@pytest.mark.parametrize("name", [name for name in HOSTILE if "without end" in name or "bomb" in name])
async def test_a_hostile_file_is_refused_before_it_costs_anything(name):
    """It is not enough that Pillow gives up in the end: its lists of numbers would have been made by then."""
    await fit(b"", "image/png")  # the decoders are imported
    tracemalloc.start()
    await fit(HOSTILE[name], "image/png")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 6_000_000


def first_scan(content):
    """Return a progressive JPEG that ends behind its first scan: coarse, but a whole picture."""
    return content[: content.index(b"\xff\xc4", content.index(b"\xff\xda"))] + b"\xff\xd9"


LARGE = written(pillow.new("RGB", (5200, 5000), RED), "JPEG")
LARGE_PROGRESSIVE = written(pillow.new("RGB", (5200, 5000), RED), "JPEG", progressive=True)


@pytest.mark.parametrize(
    ("content", "is_fitted"),
    [
        (LARGE, True),
        (LARGE + b"\xff\xda\x00\x08\x01", False),  # as the scan of one component begins
        (LARGE_PROGRESSIVE, False),
        (first_scan(LARGE_PROGRESSIVE), False),
        (written(pillow.new("L", (4900, 5000)), "PNG"), True),
        (written(pillow.new("LA", (4900, 5000)), "PNG"), False),
        (written(pillow.new("RGB", (4000, 3000)), "WEBP"), True),
        (written(pillow.new("RGB", (4000, 3200)), "WEBP"), False),
    ],
)
async def test_how_large_a_picture_may_be_depends_on_what_its_pixels_cost(content, is_fitted):
    """A JPEG that is decoded in small may have more, what needs several copies in memory fewer."""

    assert (await fit(content) is not None) == is_fitted


@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "HEIF", "TIFF", "BMP", "AVIF"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_never_raises(kind, damage):
    """Any bytes of a file may be others: there is a picture or there is none."""
    content = bytearray(written(photo(40, 30), kind, **({} if kind in ("GIF", "BMP") else {"exif": gps()})))
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    image = asyncio.run(fit(bytes(content)))

    assert image is None or len(image.content) <= MAX_BYTES


# What it costs.


async def test_the_event_loop_goes_on_while_a_photo_is_fitted():
    """A picture of 12 megapixels is decoded, scaled and encoded beside the loop, which meanwhile does other things."""
    content = written(pillow.effect_noise((4000, 3000), 40).convert("RGB"), "JPEG")
    work = asyncio.create_task(fit(content))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0)
        ticks += 1

    assert opened(await work).size == (2048, 1536)
    assert ticks > 100


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process had at its peak")
@pytest.mark.parametrize(
    ("kind", "size", "max_mb"),
    [("JPEG", (8000, 6000), 150), ("PNG", (5700, 4300), 170), ("WEBP", (4000, 3000), 220), ("HEIF", (5700, 4300), 220)],
)
def test_the_largest_pictures_have_room(kind, size, max_mb):
    """What the largest phones take is fitted in the memory that is said to be enough."""
    content = written(pillow.linear_gradient("L").resize(size).convert("RGB"), kind)
    code = (
        "import asyncio, re, sys; from pathlib import Path; from gateway.assistant.pictures import Pictures\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "content = sys.stdin.buffer.read(); before = peak()\n"
        "image = asyncio.run(Pictures().fit(content, 'image/png'))\n"
        "print((peak() - before) // 1024, len(image.content))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)

    assert int(done.stdout.split()[0]) < max_mb


async def test_only_so_many_are_fitted_at_once(monkeypatch):
    """A picture waits for a place even where those who asked for the others have given up: their threads go on."""
    running, most = 0, 0

    def counted(content, fit=module._fit):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return fit(content)
        finally:
            running -= 1

    monkeypatch.setattr(module, "_fit", counted)
    pictures = Pictures(concurrency=2)
    content = written(photo(1500, 1500), "PNG")
    asked = [asyncio.create_task(pictures.fit(content, "image/png")) for _ in range(6)]
    while not running:
        await asyncio.sleep(0)
    for work in asked[:3]:
        work.cancel()
    fitted = await asyncio.gather(*asked, return_exceptions=True)

    assert most == 2
    assert fitted[3:] == [Image(content, "image/png")] * 3


def test_nothing_is_imported_before_the_first_picture():
    """A gateway that gets no pictures has no decoders in its memory."""
    code = "import sys, gateway.assistant.pictures; print({'PIL', 'pillow_heif'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["a PNG that Pillow only warns of", "strips without end"])
def test_warnings_are_errors_also_where_nobody_asked_for_it(name):
    """In a process with Python's own filters nothing is printed, and the picture is refused just the same."""
    code = (
        "import asyncio, sys; from gateway.assistant.pictures import Pictures; "
        "print(asyncio.run(Pictures().fit(sys.stdin.buffer.read(), 'image/png')))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=HOSTILE[name], capture_output=True, check=True)

    assert done.stdout.split()[-1] == b"None"
    assert b"Warning" not in done.stderr
