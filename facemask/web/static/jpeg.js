// The structure of JPEG files (ITU-T T.81), and those that were cut off at their very end told from those that lack
// pixels, as facemask/dataset/jpeg.py does it.
import { big16, concat, text } from "./bytes.js";

const END = Uint8Array.of(0xff, 0xd9);
const SCAN = 0xda;

/** Height, width and the numbers of the components, from the frame header; 0 and none if it is missing. */
export function frameOf(bytes) {
  for (const { marker, start, end } of segments(bytes)) {
    if (marker < 0xc0 || marker > 0xcf || [0xc4, 0xc8, 0xcc].includes(marker) || end > bytes.length) continue;
    const components = Array.from({ length: bytes[start + 5] }, (_, i) => bytes[start + 6 + 3 * i]);
    return { height: big16(bytes, start + 1), width: big16(bytes, start + 3), components };
  }
  return { height: 0, width: 0, components: [] };
}

/** Say whether Adobe's marker is there, by which inks are stored inverted. */
export function isAdobes(bytes) {
  return [...segments(bytes)].some(({ marker, start }) => marker === 0xee && text(bytes, start, start + 5) === "Adobe");
}

/** The embedded ICC profile, or null. */
export function jpegProfile(bytes) {
  const parts = [];
  for (const { marker, start, end } of segments(bytes)) {
    if (marker === 0xe2 && text(bytes, start, start + 12) === "ICC_PROFILE\0") parts.push(bytes.subarray(start + 12, end));
  }
  parts.sort((one, other) => one[0] - other[0]);
  return parts.length && parts[0][1] === parts.length ? concat(...parts.map((part) => part.subarray(2))) : null;
}

/** Say whether the first picture of a file has its end marker, whatever follows it. */
export function hasEnd(bytes) {
  return big16(bytes, bytes.length - 2) === 0xffd9 || markers(bytes, firstScan(bytes)).some(({ marker }) => marker === 0xd9);
}

/**
 * Complete a file without end marker in three ways, which show the same picture if, and only if, no pixel is missing.
 * @returns {Uint8Array[]} the first has nothing in front of the end marker, the others have made-up data
 */
export function endings(bytes) {
  let length = bytes.length;
  while (bytes[length - 1] === 0xff) length--; // half of an end marker
  const data = bytes.subarray(0, length);
  const last = markers(data, firstScan(data)).findLast(({ marker }) => marker >= 0xd0 && marker <= 0xd7);
  const expected = last ? last.marker + 1 : 0xd0;
  const filled = (...pattern) => concat(data, filling(pattern, expected), END);
  return [concat(data, END), filled(0x35, 0xa6), filled(0xca, 0x59)];
}

/** Say whether no scan is missing: a progressive file that is cut off between two is whole, but coarse. */
export function hasAllScans(bytes) {
  const missing = new Set(frameOf(bytes).components.flatMap((one) => Array.from({ length: 64 }, (_, term) => `${one} ${term}`)));
  for (const { marker, place } of markers(bytes, firstScan(bytes))) {
    if (marker !== SCAN) continue;
    const count = bytes[place + 4] ?? 0;
    const rest = place + 5 + 2 * count;
    if (rest + 3 > bytes.length) return false;
    const [first, last, bits] = bytes.subarray(rest, rest + 3);
    if ((bits & 0x0f) !== 0) continue; // bits of the terms are left to later scans
    for (let i = 0; i < count; i++) {
      for (let term = first; term <= last; term++) missing.delete(`${bytes[place + 5 + 2 * i]} ${term}`);
    }
  }
  return missing.size === 0;
}

/** The segments in front of the first scan: `marker`, and where the content has its `start` and `end`. */
function* segments(bytes) {
  for (let place = 2; place + 4 <= bytes.length && bytes[place] === 0xff && bytes[place + 1] !== SCAN; ) {
    if (bytes[place + 1] === 0xff) {
      place++; // padding
      continue;
    }
    const end = place + 2 + big16(bytes, place + 2);
    yield { marker: bytes[place + 1], start: place + 4, end };
    place = end;
  }
}

/** Where the first scan begins; before it, other pictures such as a thumbnail may have end markers. */
function firstScan(bytes) {
  return [...segments(bytes)].at(-1)?.end ?? 2;
}

/** The markers at and behind a place. */
function markers(bytes, start) {
  const found = [];
  for (let place = bytes.indexOf(0xff, start); place >= 0; place = bytes.indexOf(0xff, place + 1)) {
    const marker = bytes[place + 1];
    if (marker >= 0xc0 && marker < 0xff) found.push({ marker, place });
  }
  return found;
}

/** Data for some blocks of pixels before each of the restart markers, numbered from 0 to 7 in turn. */
function filling(pattern, expected) {
  const blocks = Array.from({ length: 32 }, () => pattern).flat();
  const parts = Array.from({ length: 16 }, (_, step) => [...blocks, 0xff, 0xd0 + ((expected + step) & 7)]);
  return Uint8Array.from(parts.flat());
}
