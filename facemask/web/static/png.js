// The structure of PNG files.
import { big32, concat, text } from "./bytes.js";
import { crc32 } from "./zip.js";

const START = 8;
const COLOUR = ["cICP", "gAMA", "cHRM", "sRGB"]; // chunks that browsers apply and Pillow does not

/** Size, whether the pixels are grey, and whether the data ends before the picture does. */
export function pngHeader(bytes) {
  if (bytes.length < 33) return { width: 0, height: 0, grey: false, truncated: true };
  const data = [...chunks(bytes)].filter(({ kind }) => kind === "IDAT");
  return {
    width: big32(bytes, 16),
    height: big32(bytes, 20),
    grey: [0, 4].includes(bytes[25]),
    truncated: data.length === 0 || data.at(-1).end > bytes.length,
  };
}

/** The embedded ICC profile, or its beginning; null if there is none that can be unpacked. */
export async function pngProfile(bytes) {
  const chunk = [...chunks(bytes)].find(({ kind }) => kind === "iCCP");
  if (!chunk) return null;
  const content = bytes.subarray(chunk.start + 8, chunk.end - 4);
  const packed = content.subarray(content.indexOf(0) + 2); // behind its name and the method of packing
  try {
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    const { value } = await reader.read(); // no more: a small file may unpack to gigabytes
    await reader.cancel();
    return value ?? null;
  } catch {
    return null;
  }
}

/** A copy whose colours are told by its ICC profile alone. */
export function withProfileOnly(bytes) {
  const kept = [...chunks(bytes)].filter(({ kind }) => !COLOUR.includes(kind));
  return concat(bytes.subarray(0, START), ...kept.map(({ start, end }) => bytes.subarray(start, end)));
}

/** A copy with right checksums: Pillow passes over wrong ones, browsers do not. */
export function withChecksums(bytes) {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (const { start, end } of chunks(bytes)) {
    if (end <= bytes.length) view.setUint32(end - 4, crc32(copy.subarray(start + 4, end - 4)));
  }
  return copy;
}

/** The chunks: `kind`, and where each has its `start` and `end`, which may lie beyond the end of the file. */
function* chunks(bytes) {
  for (let start = START; start + 8 <= bytes.length; ) {
    const end = start + 12 + big32(bytes, start);
    yield { kind: text(bytes, start + 4, start + 8), start, end };
    start = end;
  }
}
