// Files to pixels, as facemask/dataset/decode.py does it with Pillow.
import { little16, little32, text } from "./bytes.js";
import { conversionOf } from "./colour.js";
import { turned } from "./image.js";
import { endings, frameOf, hasAllScans, hasEnd, isAdobes } from "./jpeg.js";
import { pngHeader, withChecksums, withProfileOnly } from "./png.js";
import { orientationLeft } from "./webp.js";

const BACKGROUND = 128; // grey level that transparent pixels are laid on
const STRIP_PIXELS = 2 ** 22; // phones allow canvases of 16 megapixels only

const MIME = { jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif", avif: "image/avif" };
const AVIF = ["avif", "avis"];
const HEIC = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];
const UNREAD = ["II*\0", "MM\0*", "II+\0", "MM\0+", "\0\0\0\x0cjP", "\xffO\xffQ"]; // TIFF and JPEG 2000

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
 * @returns {Promise<{picture: import("./image.js").Picture, shown: Blob, colours: string}>} `shown`: a file that the
 *   browser shows as the picture is, most often the same; `colours`: how they were converted, see colour.js
 * @throws {UnusableImage}
 */
export async function decode(file, maxMegapixels) {
  if (file.size === 0) throw new UnusableImage("empty file");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const header = inspect(bytes);
  if (header.width * header.height > maxMegapixels * 1e6) throw new UnusableImage("too large");
  if (header.problem) throw new UnusableImage(header.problem);
  const colours = await conversionOf(bytes, header.format);
  const pixels = (data) => pixelsOfFile(data, MIME[header.format] ?? "", colours, maxMegapixels);
  try {
    return { shown: file, ...(await readerOf(header)(bytes, pixels, colours)), colours };
  } catch (error) {
    if (error instanceof UnusableImage) throw error;
    throw new UnusableImage(header.complete ? "damaged" : "truncated");
  }
}

function readerOf({ format, complete }) {
  if (format === "jpeg" && !complete) return readWithoutEnd;
  return { png: readPng, webp: readWebp }[format] ?? (async (bytes, pixels) => ({ picture: await pixels(bytes) }));
}

async function readWithoutEnd(bytes, pixels) {
  if (!hasAllScans(bytes)) throw new UnusableImage("truncated");
  const [completed, ...others] = endings(bytes);
  const picture = await pixels(completed);
  for (const other of others) if (!isSame(picture, await pixels(other))) throw new UnusableImage("truncated");
  return { picture, shown: new Blob([completed], { type: MIME.jpeg }) };
}

async function readPng(bytes, pixels, colours) {
  const stored = colours === "none" ? bytes : withProfileOnly(bytes);
  try {
    return { picture: await pixels(stored) };
  } catch {
    const mended = withChecksums(stored);
    return { picture: await pixels(mended), shown: new Blob([mended], { type: MIME.png }) };
  }
}

async function readWebp(bytes, pixels) {
  const picture = await pixels(bytes);
  const orientation = await orientationLeft(bytes);
  if (orientation === 1) return { picture };
  const upright = turned(picture, orientation);
  return { picture: upright, shown: await encode(upright) };
}

async function pixelsOfFile(bytes, type, colours, maxMegapixels) {
  const colorSpaceConversion = colours === "none" ? "none" : "default";
  const bitmap = await createImageBitmap(new Blob([bytes], { type }), { colorSpaceConversion, premultiplyAlpha: "none" });
  try {
    if (bitmap.width * bitmap.height > maxMegapixels * 1e6) throw new UnusableImage("too large");
    const { picture, transparent } = pixelsOf(bitmap);
    return (transparent && colours === "none" && (await exactlyBlended(bytes, type, bitmap))) || picture;
  } finally {
    bitmap.close();
  }
}

function isSame({ data: one }, { data: other }) {
  return one.length === other.length && one.every((level, i) => level === other[i]);
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
async function encode({ width, height, data }) {
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

/**
 * A canvas multiplies colours with their opacity and rounds; where the browser can, read them as they are. An
 * ImageDecoder converts no colours.
 */
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

/**
 * Read what the start and the structure of a file tell.
 * @returns {{format: string, width: number, height: number, problem: string, complete: boolean}} sizes are 0 where they
 *   are not known; `problem` is set where a browser cannot read the file, or might show it though it should not
 */
function inspect(bytes) {
  const header = { format: "", width: 0, height: 0, problem: "", complete: true };
  const start = text(bytes, 0, 12);
  const begins = (...signatures) => signatures.some((signature) => start.startsWith(signature));
  const brand = start.slice(8);
  if (begins("\xff\xd8\xff")) return { ...header, format: "jpeg", ...inspectJpeg(bytes) };
  if (begins("\x89PNG")) return { ...header, format: "png", ...inspectPng(bytes) };
  if (begins("RIFF") && brand === "WEBP") return { ...header, format: "webp" };
  if (begins("GIF8")) return { ...header, format: "gif", ...inspectGif(bytes) };
  if (begins("BM")) return { ...header, format: "bmp", complete: little32(bytes, 2) <= bytes.length };
  if (begins("\0\0\x01\0")) return { ...header, format: "ico" };
  if (start.slice(4, 8) === "ftyp" && AVIF.includes(brand)) return { ...header, format: "avif" };
  if (start.slice(4, 8) === "ftyp" && HEIC.includes(brand)) return { ...header, problem: "HEIC is not supported" };
  return { ...header, problem: begins(...UNREAD) || /^P[1-6]\s/.test(start) ? "not read by browsers" : "not an image" };
}

function inspectJpeg(bytes) {
  const { width, height, components } = frameOf(bytes);
  // Browsers take all inks for inverted, as Adobe's are; others show as a negative.
  const problem = components.length === 4 && !isAdobes(bytes) ? "not read by browsers" : "";
  return { width, height, problem, complete: hasEnd(bytes) };
}

function inspectPng(bytes) {
  const { width, height, truncated } = pngHeader(bytes);
  return { width, height, problem: truncated ? "truncated" : "" };
}

function inspectGif(bytes) {
  return { width: little16(bytes, 6), height: little16(bytes, 8), complete: bytes.at(-1) === 0x3b };
}
