"""Pictures for the model: a customer's file, decoded with suspicion, comes back small, upright and without metadata.

A decoder is the one place where a stranger's bytes meet C code, so everything that can be told from the header is
asked before a pixel is decoded, and all of it happens in a thread.
"""

from __future__ import annotations

import asyncio
import io
import struct
import warnings
from functools import cache
from typing import TYPE_CHECKING

import structlog

from gateway.assistant.model import Image

if TYPE_CHECKING:
    from PIL.Image import Exif
    from PIL.Image import Image as Raster
    from PIL.ImageFile import ImageFile

log = structlog.get_logger(__name__)

READABLE = (
    "image/jpeg",
    "image/jpg",  # no registered name, but servers say it
    "image/png",
    "image/gif",
    "image/webp",
    "image/heic",
    "image/heif",
    "image/tiff",
    "image/bmp",
    "image/avif",
)
"""Content types that can become a picture, in lower case and without parameters."""
MAX_SIDE = 2048
"""Pixels of the longer side. OpenAI scales a picture down to fit a 2048-pixel square before its model looks at it;
what is larger costs only time (developers.openai.com/api/docs/guides/images-vision, read 2026-11)."""
MAX_BYTES = 3 * 1024 * 1024
"""Of one picture; a prompt holds two, as base64, and is sent again with every round."""
MAX_PIXELS = 25_000_000
"""Phones take 24 megapixels. HEIC of that size, the costliest of them, was measured to take 183 MB at its peak."""
MAX_JPEG_PIXELS = 80_000_000
"""A JPEG is decoded at a half, a quarter or an eighth of its size where that is enough."""
MAX_EDGE = 65_535
"""The most that JPEG can say; a picture of one column costs eight bytes a row for the pointers alone."""
MAX_READS = 100_000
"""Steps in which a file may be read. 5 million empty JPEG segments in 20 MB were measured to take 5 s and 665 MB."""
MAX_TAG_VALUES = 100_000
"""Numbers in the tags of a TIFF. 2.5 million strips in 20 MB were measured to take 10 s and 820 MB."""
MAX_EXIF_SEGMENTS = 8
"""Of 64 KB each, in a JPEG; one for each of the pictures in it is usual."""
MAX_EXIF_BYTES = MAX_EXIF_SEGMENTS * 65_536
"""In all formats; a single tag that fills it becomes 65 thousand fractions."""
MAX_AVIF_BYTES = 2_000_000
"""As many as 12 megapixels have. Pillow makes numbers of an AVIF's EXIF before anybody can measure it."""
MAX_SCANS = 64
"""Of a progressive JPEG, each of which visits every block, however few bytes it has; encoders write about ten."""
FEW_COLOURS = 256
"""A drawing has no more and is sharper, and mostly smaller, as PNG."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "HEIF", "TIFF", "BMP", "AVIF")
# Photos get the first. Black and white noise was measured to have 3.9 MB there, and 1.8 MB at the last.
_QUALITIES = (85, 70, 50, 30)

# What the model takes as it is (the page above: PNG, JPEG, WEBP, non-animated GIF), in colours that everybody knows.
_TAKEN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
_TAKEN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
# Where Pillow keeps XMP and IPTC, which can name a place.
_METADATA = ("xmp", "XML:com.adobe.xmp", "Raw profile type xmp", "photoshop", "Raw profile type iptc")
_ORIENTATION, _GPS = 0x0112, 0x8825  # EXIF 2.32, section 4.6
_DIRECTORIES = (0x8769, _GPS, 0xA005)  # the same: tags whose value is the place of more tags
_TIFF = 42  # a BigTIFF says 43; its only use is more than 4 GB
_BLOBS = (1, 2, 7)  # TIFF's types BYTE, ASCII and UNDEFINED, which stay in one piece
_TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
"""What makes orientations 2 to 8 upright."""


class Pictures:
    """Makes pictures fit, a few at a time: each of them can take 200 MB and a core for a second."""

    def __init__(self, *, concurrency: int = 2) -> None:
        self._slots = asyncio.Semaphore(concurrency)

    async def fit(self, content: bytes, content_type: str) -> Image | None:
        """Return the picture as the model may see it, or None where it cannot be read or would cost too much.

        Its content type is what the bytes are, not what they were said to be.
        """
        if content_type.partition(";")[0].strip().lower() not in READABLE:
            return None
        await self._slots.acquire()
        work = asyncio.ensure_future(asyncio.to_thread(_fit, content))
        # Nobody can stop a thread, so the slot is taken until it ends, whoever has given up meanwhile.
        work.add_done_callback(lambda _: self._slots.release())
        return await asyncio.shield(work)


class _Steps(io.BytesIO):
    """A file that ends the reading of itself in too many steps, which is how Pillow's own loops can be kept busy."""

    left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError("read in too many steps")
        return super().read(size)


@cache
def _load_codecs() -> None:
    """Import what decodes, which an installation without pictures never needs, and make its warnings errors.

    Once and for these two packages only: warnings.catch_warnings would change the filters of every other thread.
    """
    from PIL import AvifImagePlugin
    from pillow_heif import register_heif_opener

    # One thread for each picture leaves a core for the event loop; thumbnails may show something else.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    register_heif_opener(decode_threads=1, thumbnails=False)
    warnings.filterwarnings("error", module=r"(PIL|pillow_heif)\.")


def _fit(content: bytes) -> Image | None:
    try:
        _load_codecs()
        try:
            return _fitted(content)
        except UserWarning:  # Pillow's word for odd metadata; the pixels may be fine
            return _fitted(_blinded(content), may_pass=False)
    except Exception as error:  # noqa: BLE001  a decoder raises whatever a stranger's file makes it raise
        log.info("picture_unreadable", error=type(error).__name__)
        return None


def _fitted(content: bytes, *, may_pass: bool = True) -> Image:
    image = _opened(content)
    fits = may_pass and len(content) <= MAX_BYTES and max(image.size) <= MAX_SIDE and _is_taken(image)
    if max(image.size) > MAX_SIDE:
        image.draft(None, _shrunk(image.size))
    image.load()  # also where the file passes: half a picture is refused by the model's server, and the turn with it
    exif = _exif(image)
    if fits and exif.get(_ORIENTATION, 1) == 1 and _GPS not in exif and not any(key in image.info for key in _METADATA):
        return Image(content, _TAKEN[image.format or ""])
    return _encoded(_on_white(_turned(_scaled(_plain(image)), exif.get(_ORIENTATION, 1))))


def _blinded(content: bytes) -> bytes:
    """Rename a JPEG's EXIF and list of further pictures (CIPA DC-007), so that Pillow does not look into them."""
    return content.replace(b"Exif\0\0", b"\0" * 6).replace(b"MPF\0", b"\0" * 4)


def _opened(content: bytes) -> ImageFile:
    """Read the header and nothing behind it.

    Raises:
        ValueError: decoding it would cost too much.
    """
    import PIL.Image

    _check_metadata(content)
    image = PIL.Image.open(_Steps(content), formats=_FORMATS)
    if max(image.size) > MAX_EDGE or image.width * image.height > _max_pixels(image, content):
        raise ValueError("too many pixels")
    if "progressive" in image.info and content.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError("too many scans")
    return image


def _check_metadata(content: bytes) -> None:
    """Refuse what Pillow would make millions of Python objects of while it opens the file."""
    if content[:2] in (b"II", b"MM"):
        order = "<" if content[:1] == b"I" else ">"
        magic, directory = struct.unpack_from(f"{order}HI", content, 2)
        if magic != _TIFF or _is_crowded(content, order, directory):
            raise ValueError("BigTIFF, or too many values in its tags")
    elif len(content) > MAX_AVIF_BYTES and content[4:8] == b"ftyp" and b"av01" in content:
        raise ValueError("too large for what it is")
    elif content.count(b"Exif\0\0") > MAX_EXIF_SEGMENTS:
        raise ValueError("too much EXIF")


def _is_crowded(content: bytes, order: str, directory: int) -> bool:
    """Tell whether a TIFF's tags hold too many numbers (TIFF 6.0, section 2); EXIF's own directories count as well."""
    waiting, values = [directory], 0
    while waiting and values <= MAX_TAG_VALUES:
        place = waiting.pop()
        (entries,) = struct.unpack_from(f"{order}H", content, place)
        for entry in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHII", content, place + 2 + 12 * entry)
            values += 1 if kind in _BLOBS else max(1, count)  # at least one, so that a directory in itself has an end
            if tag in _DIRECTORIES:
                waiting.append(value)
    return values > MAX_TAG_VALUES


def _max_pixels(image: ImageFile, content: bytes) -> int:
    """Return how many pixels may be decoded, by what one of them costs at the peak of decoding and scaling."""
    if image.format in ("JPEG", "MPO"):
        return MAX_PIXELS if _is_buffered(image, content) else MAX_JPEG_PIXELS
    # Measured bytes a pixel: WebP 16, with transparency 11, all others 6 to 9.
    return MAX_PIXELS // 2 if image.format == "WEBP" or image.has_transparency_data else MAX_PIXELS


def _is_buffered(image: ImageFile, content: bytes) -> bool:
    """Tell whether libjpeg keeps a whole JPEG's coefficients, scaled or not: it has scans without all components."""
    partial = (bytes((0xFF, 0xDA, 0, 6 + 2 * count, count)) for count in range(1, len(image.getbands())))
    return "progressive" in image.info or any(scan in content for scan in partial)


def _exif(image: ImageFile) -> Exif:
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        raise ValueError("too much EXIF")
    return image.getexif()


def _is_taken(image: ImageFile) -> bool:
    return image.format in _TAKEN and image.mode in _TAKEN_MODES and not getattr(image, "is_animated", False)


def _plain(image: Raster) -> Raster:
    """Return a picture in a mode that can be scaled smoothly.

    Raises:
        ValueError: its numbers have no agreed black and white, as those of measurements.
    """
    if image.mode in ("I", "F"):
        raise ValueError("no colours")
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        return image.convert("RGBA")
    return image.convert("RGB") if image.mode in ("1", "P") else image


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scaled(image: Raster) -> Raster:
    return image if max(image.size) <= MAX_SIDE else image.resize(_shrunk(image.size), reducing_gap=2.0)


def _turned(image: Raster, orientation: object) -> Raster:
    from PIL.Image import Transpose

    if isinstance(orientation, int) and 2 <= orientation <= 8:
        return image.transpose(Transpose[_TURNS[orientation - 2]])
    return image


def _on_white(image: Raster) -> Raster:
    """Return the picture alone, grey or in colours: JPEG has no transparency, and most drawings are dark."""
    import PIL.Image

    if image.mode not in ("LA", "RGBA"):
        return image if image.mode == "L" else image.convert("RGB")
    white = PIL.Image.new("RGB", image.size, "white")
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def _encoded(image: Raster) -> Image:
    image.info.clear()  # Pillow would write some of it: a comment, a colour profile
    photo = _photo(image)
    if image.getcolors(FEW_COLOURS) is not None:
        drawing = _written(image, "PNG")
        if len(drawing) < len(photo):
            return Image(drawing, "image/png")
    return Image(photo, "image/jpeg")


def _photo(image: Raster) -> bytes:
    photo = b""
    for quality in _QUALITIES:
        photo = _written(image, "JPEG", quality=quality)
        if len(photo) <= MAX_BYTES:
            break
    return photo


def _written(image: Raster, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
