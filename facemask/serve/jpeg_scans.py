"""Number of scans in a JPEG file: each is a pass over all pixels, so a small file of many scans takes hours to decode.

libjpeg-turbo, "Notes on security", advises programs to set a limit.
"""

import re

MAX_SCANS = 50  # libjpeg writes 10 in a progressive colour image

_START, _END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd8", 0xD9, 0xDA
# Within compressed data, 00 follows an FF that is no marker; D0 to D7 restart the decoder, and FF fills up.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


def count_scans(content: bytes) -> int:
    """Return the number of scans in the first image of a JPEG file; 0 for any other file."""
    if not content.startswith(_START):
        return 0
    scans, position = 0, len(_START)
    while (marker := _MARKER.search(content, position)) and marker[1][0] != _END_OF_IMAGE:
        scans += marker[1][0] == _START_OF_SCAN
        # A segment follows, whose length, in two bytes, includes these.
        position = marker.end() + max(int.from_bytes(content[marker.end() : marker.end() + 2], "big"), 2)
    return scans
