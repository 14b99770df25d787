// Pictures as 8-bit RGB, and the resizing of OpenCV, to the last bit: other pixels would give other boxes and
// probabilities than `facemask predict`. tests/web compares both.

/**
 * A picture: `data` holds 3 bytes per pixel, row by row.
 * @typedef {{width: number, height: number, data: Uint8Array}} Picture
 */

/** Round to the nearest integer, halves to the even one, as Python, NumPy and OpenCV do. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Stretch a picture as `facemask.dataset.decode.resize` does a square one: averaging where it shrinks, bilinear where
 * it grows.
 */
export function resizeSquare(image, size) {
  if (image.width === size) return image;
  return image.width > size ? shrinkByArea(image, size) : resizeLinear(image, size, size);
}

/** Halve a picture by averages of 2 x 2 pixels; an odd last row or column is dropped. */
export function halve(image) {
  const { data: source, width: wide } = image;
  const width = image.width >> 1;
  const height = image.height >> 1;
  const data = new Uint8Array(width * height * 3);
  let target = 0;
  for (let y = 0; y < height; y++) {
    let upper = 2 * y * wide * 3;
    let lower = upper + wide * 3;
    for (let x = 0; x < width; x++, upper += 6, lower += 6, target += 3) {
      for (let c = 0; c < 3; c++) {
        const sum = source[upper + c] + source[upper + c + 3] + source[lower + c] + source[lower + c + 3];
        data[target + c] = (sum + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}

/** Resize like `cv2.resize(..., INTER_LINEAR)` of uint8: weights of 11 bits, and the same rounding at each step. */
export function resizeLinear(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const { data: source } = image;
  const columns = linearWeights(image.width, width, true);
  const rows = linearWeights(image.height, height, false);
  const length = width * 3;
  const data = new Uint8Array(length * height);
  // The two source rows between which a target row lies; most are needed for the next target row as well.
  let kept = [
    { row: -1, line: new Int32Array(length) },
    { row: -1, line: new Int32Array(length) },
  ];
  const last = image.height - 1;
  for (let y = 0; y < height; y++) {
    const first = Math.min(Math.max(rows.start[y], 0), last);
    const second = Math.min(Math.max(rows.start[y] + 1, 0), last);
    if (kept[1].row === first) kept = [kept[1], kept[0]];
    for (const [place, row] of [first, second].entries()) {
      if (kept[place].row === row) continue;
      kept[place].row = row;
      stretchRow(source, row * image.width * 3, columns, kept[place].line);
    }
    const [{ line: above }, { line: below }] = kept;
    const [a, b] = [rows.first[y], rows.second[y]];
    const target = y * length;
    for (let i = 0; i < length; i++) {
      data[target + i] = (((a * (above[i] >> 4)) >> 16) + ((b * (below[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { width, height, data };
}

/** Return a square of a picture; beyond the border it is black. */
export function windowOf(image, left, top, side) {
  const data = new Uint8Array(side * side * 3);
  const from = Math.max(left, 0);
  const to = Math.min(left + side, image.width);
  if (to > from) {
    for (let y = Math.max(top, 0); y < Math.min(top + side, image.height); y++) {
      const row = image.data.subarray((y * image.width + from) * 3, (y * image.width + to) * 3);
      data.set(row, ((y - top) * side + from - left) * 3);
    }
  }
  return { width: side, height: side, data };
}

/** Return a square of a picture; beyond the border its last pixels are repeated. */
export function clampedWindow(image, left, top, side) {
  const data = new Uint8Array(side * side * 3);
  let target = 0;
  for (let y = top; y < top + side; y++) {
    const row = Math.min(Math.max(y, 0), image.height - 1) * image.width;
    for (let x = left; x < left + side; x++, target += 3) {
      const source = (row + Math.min(Math.max(x, 0), image.width - 1)) * 3;
      data[target] = image.data[source];
      data[target + 1] = image.data[source + 1];
      data[target + 2] = image.data[source + 2];
    }
  }
  return { width: side, height: side, data };
}

/** Return a picture mirrored left to right. */
export function mirrored(image) {
  const data = new Uint8Array(image.data.length);
  const length = image.width * 3;
  for (let start = 0; start < data.length; start += length) {
    for (let x = 0; x < length; x += 3) {
      const source = start + length - 3 - x;
      data[start + x] = image.data[source];
      data[start + x + 1] = image.data[source + 1];
      data[start + x + 2] = image.data[source + 2];
    }
  }
  return { width: image.width, height: image.height, data };
}

/** Turn a picture upright that is stored as an EXIF orientation says, 2 to 8. */
export function turned(image, orientation) {
  const { width, height, data: source } = image;
  const swapped = orientation >= 5;
  const [wide, high] = swapped ? [height, width] : [width, height];
  const data = new Uint8Array(source.length);
  const flipX = [2, 3, 7, 8].includes(orientation);
  const flipY = [3, 4, 6, 7].includes(orientation);
  for (let y = 0, target = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, target += 3) {
      const [across, down] = swapped ? [y, x] : [x, y];
      const column = flipX ? width - 1 - across : across;
      const row = flipY ? height - 1 - down : down;
      const place = (row * width + column) * 3;
      data[target] = source[place];
      data[target + 1] = source[place + 1];
      data[target + 2] = source[place + 2];
    }
  }
  return { width: wide, height: high, data };
}

function stretchRow(source, start, columns, line) {
  for (let x = 0, i = 0; x < columns.start.length; x++) {
    const left = start + columns.start[x] * 3;
    const right = columns.second[x] === 0 ? left : left + 3;
    const [a, b] = [columns.first[x], columns.second[x]];
    for (let c = 0; c < 3; c++, i++) line[i] = source[left + c] * a + source[right + c] * b;
  }
}

function linearWeights(from, to, atBorders) {
  const scale = 1 / (to / from);
  const start = new Int32Array(to);
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  for (let i = 0; i < to; i++) {
    const place = Math.fround((i + 0.5) * scale - 0.5);
    start[i] = Math.floor(place);
    let share = Math.fround(place - start[i]);
    // Only columns: OpenCV repeats the first and the last row instead.
    if (atBorders && (start[i] < 0 || start[i] >= from - 1)) {
      start[i] = Math.min(Math.max(start[i], 0), from - 1);
      share = 0;
    }
    first[i] = roundEven(Math.fround(Math.fround(1 - share) * 2048));
    second[i] = roundEven(Math.fround(share * 2048));
  }
  return { start, first, second };
}

/** Shrink a square like `cv2.resize(..., INTER_AREA)` of uint8. */
function shrinkByArea(image, size) {
  const factor = image.width / size;
  if (factor === 2) return halve(image);
  return Number.isInteger(factor) ? averageBlocks(image, size, factor) : averageAreas(image, size);
}

function averageBlocks(image, size, factor) {
  const data = new Uint8Array(size * size * 3);
  const share = Math.fround(1 / (factor * factor));
  let target = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 3; c++, target++) {
        let sum = 0;
        for (let row = 0; row < factor; row++) {
          let source = ((y * factor + row) * image.width + x * factor) * 3 + c;
          for (let column = 0; column < factor; column++, source += 3) sum += image.data[source];
        }
        data[target] = roundEven(Math.fround(sum * share));
      }
    }
  }
  return { width: size, height: size, data };
}

function averageAreas(image, size) {
  const parts = areaParts(image.width, size);
  const length = size * 3;
  const data = new Uint8Array(length * size);
  const line = new Float32Array(length);
  const sum = new Float32Array(length);
  const write = (row) => {
    for (let i = 0; i < length; i++) data[row * length + i] = Math.min(Math.max(roundEven(sum[i]), 0), 255);
    sum.fill(0);
  };
  let previous = 0;
  for (let part = 0; part < parts.count; part++) {
    averageRow(image.data, parts.source[part] * image.width * 3, parts, line);
    const row = parts.target[part];
    if (row !== previous) write(previous);
    previous = row;
    const share = parts.share[part];
    for (let i = 0; i < length; i++) sum[i] += Math.fround(line[i] * share);
  }
  write(previous);
  return { width: size, height: size, data };
}

function averageRow(source, start, { count, target, source: columns, share }, line) {
  line.fill(0);
  for (let part = 0; part < count; part++) {
    const from = start + columns[part] * 3;
    const to = target[part] * 3;
    line[to] += Math.fround(source[from] * share[part]);
    line[to + 1] += Math.fround(source[from + 1] * share[part]);
    line[to + 2] += Math.fround(source[from + 2] * share[part]);
  }
}

/** How much each source pixel along a side contributes to which target pixels, in order. */
function areaParts(from, to) {
  const scale = 1 / (to / from);
  const parts = { count: 0, target: new Int32Array(from + to), source: new Int32Array(from + to) };
  parts.share = new Float32Array(from + to);
  const add = (target, source, share) => {
    parts.target[parts.count] = target;
    parts.source[parts.count] = source;
    parts.share[parts.count++] = share;
  };
  for (let target = 0; target < to; target++) {
    const start = target * scale;
    const end = start + scale;
    const width = Math.min(scale, from - start);
    const high = Math.min(Math.floor(end), from - 1);
    const low = Math.min(Math.ceil(start), high);
    if (low - start > 1e-3) add(target, low - 1, (low - start) / width);
    for (let source = low; source < high; source++) add(target, source, 1 / width);
    if (end - high > 1e-3) add(target, high, Math.min(end - high, 1, width) / width);
  }
  return parts;
}
