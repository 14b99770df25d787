"""Whether a video file is broken or ends too early, from the lengths of its parts.

FFmpeg reports a part that was cut in MP4 and most other formats as a packet that fails. In Matroska, WebM, GIF and
MPEG-TS, it looks for the next part that it can read, and says nothing. What a header claims of the playing time is of
no use: the sound may be longer than the film, or the last frame be shown for long. So the parts of the file are
followed here from one to the next, by their own lengths in bytes, without decoding them.
"""

import os
from enum import Enum
from pathlib import Path
from typing import BinaryIO

import numpy as np

_TS_SYNC = 0x47
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and before its sync byte: broadcast, Blu-ray, parity
_HEAD = 12  # bytes, from which a format is told


class Structure(Enum):
    """What the lengths of the parts of a file say."""

    WHOLE = "whole"  # or of a format that does not state them
    CUT = "cut"  # a part continues after the end of the file
    BROKEN = "broken"  # what should be a part is none


def check_structure(path: Path) -> Structure:
    """Follow the parts of a file: MP4, MOV, Matroska, WebM, AVI, GIF, PNG, FLV, MPEG-TS; any other counts as whole.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[4:8] in _BOXES:
            return _check_boxes(file, size)
        if head.startswith(b"\x1a\x45\xdf\xa3"):
            return _check_matroska(file, size)
        if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
            return _check_avi(file, size)
        if head.startswith(b"GIF8"):
            return _check_gif(file)
        if head.startswith(b"\x89PNG"):
            return _check_png(file, size)
        if head.startswith(b"FLV\1"):
            return _check_flash(file, size)
    return _check_transport_stream(path) if head else Structure.WHOLE


_BOXES = frozenset((b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx", b"ssix"))
_OTHER_BOXES = frozenset((b"udta", b"meta", b"uuid", b"emsg", b"prft", b"pdin", b"mfra"))  # never the first


def _check_boxes(file: BinaryIO, size: int) -> Structure:
    """Follow the outermost boxes of MP4 (ISO/IEC 14496-12, 4.2)."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if head[4:8] not in _BOXES | _OTHER_BOXES or length == 0:
            break  # something that was appended; or 0, which means: to the end of the file
        place += max(length, 8)
    return Structure.CUT if place > size else Structure.WHOLE


_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_ANYWHERE = (0x1A45DFA3, _SEGMENT, 0xEC, 0xBF)
_IN_SEGMENT = (0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367)
_IN_CLUSTER = (0xE7, 0x5854, 0xA7, 0xAB, 0xA0, 0xA3, 0xAF)
_ELEMENTS = frozenset((*_ANYWHERE, *_IN_SEGMENT, *_IN_CLUSTER))


def _check_matroska(file: BinaryIO, size: int) -> Structure:
    """Follow the elements of Matroska and WebM (RFC 8794, 5 to 6; RFC 9559, 5): segments, clusters, and blocks."""
    place, end = 0, size
    while place < end:
        file.seek(place)
        head = file.read(_HEAD)
        if len(head) < 2:
            return Structure.CUT
        first = 9 - head[0].bit_length()  # length of the identifier
        if first > 4 or int.from_bytes(head[:first], "big") not in _ELEMENTS:
            return Structure.BROKEN
        length = 9 - head[first].bit_length() if len(head) > first else 0  # of the length of its content
        if length > 8:
            return Structure.BROKEN
        if not length or len(head) < first + length:
            return Structure.CUT
        content = int.from_bytes(head[first : first + length], "big") & ((1 << 7 * length) - 1)
        unknown = content == (1 << 7 * length) - 1
        name = int.from_bytes(head[:first], "big")
        place += first + length
        if not unknown and place + content > size:
            return Structure.CUT
        if name == _SEGMENT:
            end = size if unknown else place + content
        elif name != _CLUSTER:
            place += content
    return Structure.WHOLE


def _check_avi(file: BinaryIO, size: int) -> Structure:
    """Follow the outermost parts of AVI."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length == 0:
            break  # 0: its recorder was stopped before it wrote the length
        place += 8 + length
    # Some writers count the eight bytes of the head twice.
    return Structure.CUT if place > size + 8 else Structure.WHOLE


def _check_gif(file: BinaryIO) -> Structure:
    """Follow the blocks of GIF (GIF89a specification, 15 to 27) to its trailer."""
    file.seek(0)
    _skip(file, _palette(file.read(13)[10:11]))
    while block := file.read(1):
        if block == b"\x3b":
            return Structure.WHOLE
        if block == b"\x21":
            file.read(1)
        elif block == b"\x2c":
            _skip(file, _palette(file.read(9)[8:]) + 1)
        elif block != b"\0":
            return Structure.BROKEN
        while block != b"\0" and (length := file.read(1)) not in (b"", b"\0"):
            _skip(file, length[0])
    return Structure.CUT


def _check_png(file: BinaryIO, size: int) -> Structure:
    """Follow the chunks of PNG (W3C, PNG 3, 5) to the last."""
    place, kind = 8, b""
    while kind != b"IEND" and place < size:
        file.seek(place)
        head = file.read(8)
        place, kind = place + 12 + int.from_bytes(head[:4], "big"), head[4:]
    return Structure.WHOLE if kind == b"IEND" and place <= size else Structure.CUT


def _check_flash(file: BinaryIO, size: int) -> Structure:
    """Follow the tags of FLV (Adobe Flash Video File Format Specification 10.1, E)."""
    place = 13
    while place < size:
        file.seek(place)
        place += 15 + int.from_bytes(file.read(4)[1:], "big")
    return Structure.CUT if place > size else Structure.WHOLE


def _check_transport_stream(path: Path) -> Structure:
    """Check that an MPEG transport stream (ISO/IEC 13818-1, 2.4.3) consists of complete packets.

    Any other file counts as whole.
    """
    content = np.memmap(path, np.uint8, "r")
    for length, first in _TS_PACKETS:
        if len(content) > 4 * length and (content[first : 4 * length : length] == _TS_SYNC).all():
            if len(content) % length:
                return Structure.CUT
            return Structure.WHOLE if (content[first::length] == _TS_SYNC).all() else Structure.BROKEN
    return Structure.WHOLE


def _palette(flags: bytes) -> int:
    """Return the bytes of the table of colours that follows these flags."""
    return 3 * 2 ** (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0


def _skip(file: BinaryIO, length: int) -> None:
    file.seek(length, os.SEEK_CUR)
