"""Parts of a JPEG file: its end marker, its scans, and what is missing (ITU-T T.81, annexes B and G)."""

import re

MAX_SCANS = 50  # libjpeg writes 10 in a progressive colour image

_START, _END = b"\xff\xd8", b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
# Within compressed data, 00 follows an FF that is no marker; D0 to D7 restart the decoder, and FF fills up.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


def count_scans(data: bytes) -> int:
    """Return the number of scans in the first picture of a JPEG file; 0 for any other file.

    Each scan is a pass over all pixels, so a small file of many scans takes hours to decode: libjpeg-turbo, "Notes on
    security", advises programs to set a limit.
    """
    if not data.startswith(_START):
        return 0
    scans, position = 0, len(_START)
    while (marker := _MARKER.search(data, position)) and marker[0] != _END:
        scans += marker[0] == _START_OF_SCAN
        # A segment follows, whose length, in two bytes, includes these.
        position = marker.end() + max(int.from_bytes(data[marker.end() : marker.end() + 2], "big"), 2)
    return scans


def has_end(data: bytes) -> bool:
    """Check whether the first picture of a JPEG file has its end marker, whatever follows it."""
    return data.endswith(_END) or data.find(_END, _first_scan(data)) >= 0


def endings(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Complete a JPEG file without end marker in three ways.

    In front of the end marker, the first has nothing, the others have compressed data and restart markers of their own.
    A decoder skips those if it has all pixels, and makes pixels of them if it has not: so the three show the same
    picture if, and only if, no pixel is missing.
    """
    data = data.rstrip(b"\xff")  # half of an end marker
    last = re.findall(rb"\xff([\xd0-\xd7])", data[_first_scan(data) :])[-1:]
    expected = last[0][0] + 1 if last else 0xD0
    return data + _END, data + _filling(b"\x35\xa6", expected) + _END, data + _filling(b"\xca\x59", expected) + _END


def has_all_scans(data: bytes) -> bool:
    """Check whether no scan is missing: a progressive JPEG that is cut off between two is whole, but coarse."""
    start = _first_scan(data)
    missing = {(component, term) for component in _components(data[:start]) for term in range(64)}
    for scan in re.finditer(re.escape(_START_OF_SCAN), data[start:]):
        header = data[start + scan.end() + 2 :][:16]
        number = header[0] if header else 0
        if len(header) < 4 + 2 * number:
            return False
        first, last, bits = header[1 + 2 * number : 4 + 2 * number]
        if bits & 0x0F == 0:  # bits of the terms that are left to later scans
            missing -= {(header[1 + 2 * one], term) for one in range(number) for term in range(first, last + 1)}
    return not missing


def _components(header: bytes) -> list[int]:
    """Return the numbers of the components, from the frame header."""
    place = 2
    while place + 20 <= len(header):  # enough for four components
        marker = header[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return [header[place + 10 + 3 * one] for one in range(header[place + 9])]
        place += 2 + int.from_bytes(header[place + 2 : place + 4], "big")
    return []


def _filling(pattern: bytes, expected: int) -> bytes:
    """Make up data for some blocks of pixels before each of the restart markers, numbered from 0 to 7 in turn."""
    return b"".join(pattern * 32 + bytes([0xFF, 0xD0 + (expected + step) % 8]) for step in range(16))


def _first_scan(data: bytes) -> int:
    """Return where the first scan begins; before it, other pictures such as a thumbnail may have end markers."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place : place + 2] != _START_OF_SCAN:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place
