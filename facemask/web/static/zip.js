// ZIP archives of files that are compressed already; format: PKWARE's APPNOTE.TXT 6.3.
import { concat } from "./bytes.js";

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});
const UTF8 = 0x0800;
const DATE = 0x0021; // 1980-01-01

/** Store files, each with a `name` and its `data`, in an archive. */
export function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, data } of files) {
    const encoded = new TextEncoder().encode(name);
    const common = [20, UTF8, 0, 0, DATE];
    const sizes = [crc32(data), data.length, data.length];
    const local = record(0x04034b50, [...common], sizes, [encoded.length, 0]);
    parts.push(local, encoded, data);
    directory.push(
      concat(record(0x02014b50, [20, ...common], sizes, [encoded.length, 0, 0, 0, 0, 0, 0]), words32([offset]), encoded),
    );
    offset += local.length + encoded.length + data.length;
  }
  const length = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = concat(record(0x06054b50, [0, 0, files.length, files.length], [length, offset], [0]));
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** The checksum of ZIP and PNG. */
export function crc32(data) {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** A signature, 16-bit, 32-bit and 16-bit fields. */
function record(signature, first, middle, last) {
  return concat(words32([signature]), words16(first), words32(middle), words16(last));
}

function words16(values) {
  return Uint8Array.from(values.flatMap((value) => [value & 255, value >>> 8]));
}

function words32(values) {
  return Uint8Array.from(values.flatMap((value) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 255)));
}
