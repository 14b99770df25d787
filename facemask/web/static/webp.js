// The structure of WebP files (RIFF).
import { little32, text } from "./bytes.js";

// A file of 2 x 1 pixels with EXIF orientation 6: browsers differ in whether they turn it.
const SIDEWAYS =
  "UklGRlIAAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TBEAAAAvAQAAAAfQ//73v/+BiOh/AABFWElGGgAAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA";

/** The embedded ICC profile, or null. */
export function webpProfile(bytes) {
  return chunk(bytes, "ICCP");
}

/** The orientation, 1 to 8, by which the browser leaves a file to be turned; 1 if there is none. */
export async function orientationLeft(bytes) {
  const exif = chunk(bytes, "EXIF");
  return exif && !(await turnsByItself()) ? exifOrientation(exif) : 1;
}

async function turnsByItself() {
  const bytes = Uint8Array.from(atob(SIDEWAYS), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }));
  const turns = bitmap.height === 2;
  bitmap.close();
  return turns;
}

function chunk(bytes, kind) {
  for (let place = 12; place + 8 <= bytes.length; ) {
    const length = little32(bytes, place + 4);
    if (text(bytes, place, place + 4) === kind) return bytes.subarray(place + 8, place + 8 + length);
    place += 8 + length + (length % 2);
  }
  return null;
}

function exifOrientation(bytes) {
  const exif = text(bytes, 0, 4) === "Exif" ? bytes.slice(6) : bytes.slice();
  const view = new DataView(exif.buffer);
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    for (let entry = 0; entry < view.getUint16(start, little); entry++) {
      const place = start + 2 + 12 * entry;
      if (view.getUint16(place, little) !== 0x0112) continue;
      const orientation = view.getUint16(place + 8, little);
      return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // broken EXIF data counts as none
  }
  return 1;
}
