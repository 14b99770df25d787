// Which files are to be converted to sRGB by their ICC profile, as facemask/dataset/colour.py decides it.
import { text } from "./bytes.js";
import { frameOf, jpegProfile } from "./jpeg.js";
import { pngHeader, pngProfile } from "./png.js";
import { webpProfile } from "./webp.js";

const SPACES = { 1: "GRAY", 3: "RGB ", 4: "CMYK" }; // of a profile, by the number of components of a JPEG file
const CLASSES = ["mntr", "scnr", "prtr", "spac"]; // of profiles that say what the colours of a picture are
const AVIF_PROFILES = ["colrprof", "colrrICC"];

/**
 * Say how the colours of a file are to be converted.
 * @returns {Promise<"none" | "exactly" | "nearly">} "nearly" if the profile leads to Lab by tables, as those of printing
 *   inks, which browsers read in their own way
 */
export async function conversionOf(bytes, format) {
  const { profile, space } = await profileOf(bytes, format);
  if (!profile || !describes(profile, space)) return "none";
  return text(profile, 20, 24) === "XYZ " ? "exactly" : "nearly";
}

async function profileOf(bytes, format) {
  if (format === "jpeg") return { profile: jpegProfile(bytes), space: SPACES[frameOf(bytes).components.length] };
  if (format === "png") return { profile: await pngProfile(bytes), space: pngHeader(bytes).grey ? "GRAY" : "RGB " };
  if (format === "webp") return { profile: webpProfile(bytes), space: "RGB " };
  if (format === "avif") return { profile: avifProfile(bytes), space: "RGB " };
  return { profile: null, space: "" };
}

function avifProfile(bytes) {
  for (let place = bytes.indexOf(0x63); place >= 0; place = bytes.indexOf(0x63, place + 1)) {
    if (AVIF_PROFILES.includes(text(bytes, place, place + 8))) return bytes.subarray(place + 8);
  }
  return null;
}

function describes(profile, space) {
  const [kind, colours, signature] = [12, 16, 36].map((place) => text(profile, place, place + 4));
  return signature === "acsp" && CLASSES.includes(kind) && colours === space;
}
