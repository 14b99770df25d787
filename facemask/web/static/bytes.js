// Reading and joining of bytes.

/** The bytes from `start` to before `end` as a text of single characters. */
export function text(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}

export function big16(bytes, place) {
  return (bytes[place] << 8) | bytes[place + 1];
}

export function big32(bytes, place) {
  return ((big16(bytes, place) << 16) | big16(bytes, place + 2)) >>> 0;
}

export function little16(bytes, place) {
  return bytes[place] | (bytes[place + 1] << 8);
}

export function little32(bytes, place) {
  return (little16(bytes, place) | (little16(bytes, place + 2) << 16)) >>> 0;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
