// Files to pixels, as facemask/dataset/decode.py does it with Pillow.
import { turned } from "./image.js";

const BACKGROUND = 128; // grey level that transparent pixels are laid on
const STRIP_PIXELS = 2 ** 22; // phones allow canvases of 16 megapixels only

const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
const MIME = { jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif", avif: "image/avif" };
const AVIF = ["avif", "avis"];
const HEIC = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

// A WebP file of 2 x 1 pixels with EXIF orientation 6: browsers differ in whether they turn it.
const SIDEWAYS =
  "UklGRlIAAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TBEAAAAvAQAAAAfQ//73v/+BiOh/AABFWElGGgAAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA";

/** A file that cannot be used; `reason` is one of those of facemask/dataset/decode.py, or "not read by browsers". */
export class UnusableImage extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Read an image file as upright RGB.
 * @param {Blob} file
 * @param {number} maxMegapixels
 * @returns {Promise<{picture: import("./image.js").Picture, turned: boolean}>} `turned` if the browser itself would show
 *   the file in another orientation
 * @throws {UnusableImage}
 */
export async function decode(file, maxMegapixels) {
  if (file.size === 0) throw new UnusableImage("empty file");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const header = inspect(bytes);
  if (header.width * header.height > maxMegapixels * 1e6) throw new UnusableImage("too large");
  if (header.problem) throw new UnusableImage(header.problem);
  const type = MIME[header.format] ?? "";
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes], { type }), AS_STORED);
  } catch {
    throw new UnusableImage(header.unread ? "not read by browsers" : header.complete ? "damaged" : "truncated");
  }
  try {
    if (bitmap.width * bitmap.height > maxMegapixels * 1e6) throw new UnusableImage("too large");
    const { picture, transparent } = pixelsOf(bitmap);
    const exact = (transparent && (await exactlyBlended(bytes, type, bitmap))) || picture;
    const orientation = header.format === "webp" && !(await turnsWebp()) ? webpOrientation(bytes) : 1;
    return orientation === 1 ? { picture: exact, turned: false } : { picture: turned(exact, orientation), turned: true };
  } finally {
    bitmap.close();
  }
}

/**
 * Copy the pixels of a bitmap or a video frame.
 * @returns {{picture: import("./image.js").Picture, transparent: boolean}} transparent pixels are on the background;
 *   where they are half transparent, some levels may be off by one
 */
export function pixelsOf(source) {
  const { width, height } = source;
  const data = new Uint8Array(width * height * 3);
  const rows = Math.min(height, Math.max(Math.floor(STRIP_PIXELS / width), 1));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new UnusableImage("too large");
  let transparent = false;
  for (let top = 0, target = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(source, 0, -top);
    const strip = context.getImageData(0, 0, width, count).data;
    transparent = blend(strip, data, target) || transparent;
    target += count * width * 3;
  }
  return { picture: { width, height, data }, transparent };
}

/** Write a picture as a file that every browser shows as it is. */
export async function encode({ width, height, data }) {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  for (let source = 0, target = 0; source < data.length; source += 3, target += 4) {
    pixels.data.set([data[source], data[source + 1], data[source + 2], 255], target);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: MIME.jpeg, quality: 0.95 });
}

/** Lay RGBA on the background, with Pillow's rounding; say whether anything was transparent. */
function blend(rgba, rgb, start) {
  let transparent = false;
  for (let source = 0, target = start; source < rgba.length; source += 4, target += 3) {
    const alpha = rgba[source + 3];
    if (alpha === 255) {
      rgb[target] = rgba[source];
      rgb[target + 1] = rgba[source + 1];
      rgb[target + 2] = rgba[source + 2];
      continue;
    }
    transparent = true;
    for (let c = 0; c < 3; c++) {
      const mixed = rgba[source + c] * alpha + BACKGROUND * (255 - alpha) + 128;
      rgb[target + c] = ((mixed >> 8) + mixed) >> 8;
    }
  }
  return transparent;
}

/** A canvas multiplies colours with their opacity and rounds; where the browser can, read them as they are. */
async function exactlyBlended(bytes, type, { width, height }) {
  if (typeof ImageDecoder === "undefined" || !type || !(await ImageDecoder.isTypeSupported(type))) return null;
  const decoder = new ImageDecoder({ data: bytes, type, colorSpaceConversion: "none" });
  try {
    const { image } = await decoder.decode();
    try {
      if (image.codedWidth !== width || image.codedHeight !== height) return null;
      if (!["RGBA", "BGRA"].includes(image.format)) return null;
      const rgba = new Uint8Array(width * height * 4);
      await image.copyTo(rgba); // asked for another order, Chromium would round as well
      if (image.format === "BGRA") swapRedAndBlue(rgba);
      const data = new Uint8Array(width * height * 3);
      blend(rgba, data, 0);
      return { width, height, data };
    } finally {
      image.close();
    }
  } catch {
    return null;
  } finally {
    decoder.close();
  }
}

function swapRedAndBlue(pixels) {
  for (let i = 0; i < pixels.length; i += 4) [pixels[i], pixels[i + 2]] = [pixels[i + 2], pixels[i]];
}

async function turnsWebp() {
  const bytes = Uint8Array.from(atob(SIDEWAYS), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: MIME.webp }));
  const turns = bitmap.height === 2;
  bitmap.close();
  return turns;
}

/**
 * Read what the start and the structure of a file tell.
 * @returns {{format: string, width: number, height: number, problem: string, complete: boolean, unread: boolean}} sizes
 *   are 0 where they are not known; `problem` is set where a browser might show a part of the picture nevertheless;
 *   `unread` means a format that most browsers lack
 */
export function inspect(bytes) {
  const header = { format: "", width: 0, height: 0, problem: "", complete: true, unread: false };
  const starts = (...values) => values.every((value, i) => bytes[i] === value);
  const kind = text(bytes, 4, 8);
  const brand = text(bytes, 8, 12);
  if (starts(0xff, 0xd8, 0xff)) return { ...header, format: "jpeg", ...inspectJpeg(bytes) };
  if (starts(0x89, 0x50, 0x4e, 0x47)) return { ...header, format: "png", ...inspectPng(bytes) };
  if (text(bytes, 0, 4) === "RIFF" && brand === "WEBP") return { ...header, format: "webp" };
  if (text(bytes, 0, 4) === "GIF8") return { ...header, format: "gif", complete: bytes.at(-1) === 0x3b };
  if (text(bytes, 0, 2) === "BM") return { ...header, format: "bmp", complete: little32(bytes, 2) <= bytes.length };
  if (starts(0, 0, 1, 0)) return { ...header, format: "ico" };
  if (kind === "ftyp" && AVIF.includes(brand)) return { ...header, format: "avif" };
  if (kind === "ftyp" && HEIC.includes(brand)) return { ...header, problem: "HEIC is not supported" };
  const unread = starts(0x49, 0x49, 0x2a, 0) || starts(0x4d, 0x4d, 0, 0x2a) || starts(0, 0, 0, 12, 0x6a, 0x50);
  return { ...header, problem: unread ? "" : "not an image", unread };
}

function text(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function little32(bytes, place) {
  return new DataView(bytes.buffer).getUint32(place, true);
}

function inspectJpeg(bytes) {
  const found = { width: 0, height: 0, problem: "truncated" };
  const at = (place) => (bytes[place] << 8) | bytes[place + 1];
  let place = 2;
  while (place + 1 < bytes.length) {
    const marker = bytes[place + 1];
    if (bytes[place] !== 0xff || marker === 0xff) {
      place++; // compressed data, or padding
    } else if (marker === 0xd9) {
      return { ...found, problem: "" };
    } else if (marker <= 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      place += 2; // without content
    } else {
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame && place + 9 <= bytes.length) Object.assign(found, { height: at(place + 5), width: at(place + 7) });
      place += 2 + Math.max(at(place + 2), 2);
    }
  }
  return found;
}

function inspectPng(bytes) {
  if (bytes.length < 33) return { problem: "truncated" };
  const view = new DataView(bytes.buffer);
  const found = { width: view.getUint32(16), height: view.getUint32(20) };
  for (let place = 8; place + 8 <= bytes.length; ) {
    const end = place + 12 + view.getUint32(place);
    if (text(bytes, place + 4, place + 8) === "IDAT" && end > bytes.length) return { ...found, problem: "truncated" };
    place = end;
  }
  return found;
}

/** The orientation that the EXIF data of a WebP file tells, 1 to 8; 1 if there is none. */
function webpOrientation(bytes) {
  for (let place = 12; place + 8 <= bytes.length; ) {
    const length = little32(bytes, place + 4);
    if (text(bytes, place, place + 4) === "EXIF") return exifOrientation(bytes.slice(place + 8, place + 8 + length));
    place += 8 + length + (length % 2);
  }
  return 1;
}

function exifOrientation(bytes) {
  const exif = text(bytes, 0, 4) === "Exif" ? bytes.slice(6) : bytes;
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
