// The face detection of facemask/faces/detector.py; names and order of steps are the same. Numbers come from there.
import { halve, mirrored, resizeLinear, roundEven, windowOf } from "./image.js";

const SIDE = 128; // pixels, of the model's input
const NORMAL = Float32Array.from({ length: 256 }, (_, level) => Math.fround(level / 127.5) - 1);

/**
 * A face: its box in pixels of the picture, and how sure the detector is.
 * @typedef {{left: number, top: number, right: number, bottom: number, score: number}} Box
 */

/** Turn pixels into what the detector's model takes. */
function normalised(view) {
  const values = new Float32Array(view.data.length);
  for (let i = 0; i < values.length; i++) values[i] = NORMAL[view.data[i]];
  return values;
}

/**
 * Find the faces in a picture.
 * @param {import("./image.js").Picture} image
 * @param {(view: Float32Array) => Promise<{boxes: Float32Array, scores: Float32Array}>} run the model
 * @param {object} settings as facemask/faces/detector.py has them
 * @returns {Promise<Box[]>} the surest first
 */
export async function detect(image, run, settings) {
  const look = (view, least) => lookAt(view, least, run, settings);
  const found = [];
  const pyramid = makePyramid(image, settings.levels);
  for (const { picture, scale } of pyramid.slice(1)) {
    for (const left of starts(picture.width, settings)) {
      for (const top of starts(picture.height, settings)) {
        const boxes = await look(windowOf(picture, left, top, SIDE), settings.maybe);
        for (const box of boxes) {
          if (isWhole(box, left, top, picture, settings)) found.push(moved(box, left, top, scale));
        }
      }
    }
  }
  const surer = [];
  for (const box of merge(found, settings)) surer.push(await lookAgain(pyramid, box, look, settings));
  return merge(surer.filter((box) => box.score >= settings.min_score), settings);
}

/** Cut a face out of a picture, as a square around the middle of its box, with a margin. */
export function cropOf(box, margin) {
  const side = Math.max(roundEven(sideOf(box) * (1 + 2 * margin)), 1);
  const left = roundEven((box.left + box.right - side) / 2);
  const top = roundEven((box.top + box.bottom - side) / 2);
  return { left, top, side };
}

/** The mean of width and height of a box. */
export function sideOf(box) {
  return (box.right - box.left + box.bottom - box.top) / 2;
}

async function lookAt(view, least, run, settings) {
  const { boxes, scores } = await run(normalised(view));
  const limit = logit(least, settings);
  const anchors = anchorsOf(settings);
  const found = [];
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] < limit) continue;
    const x = boxes[i * 16] + anchors[i * 2];
    const y = boxes[i * 16 + 1] + anchors[i * 2 + 1];
    const across = Math.max(boxes[i * 16 + 2], 1) / 2;
    const down = Math.max(boxes[i * 16 + 3], 1) / 2;
    found.push({ left: x - across, top: y - down, right: x + across, bottom: y + down, score: probability(scores[i]) });
  }
  return found;
}

async function lookAgain(pyramid, box, look, settings) {
  const side = (box.right - box.left + (box.bottom - box.top)) / 2 / settings.second_look;
  const left = (box.left + box.right) / 2 - side / 2;
  const top = (box.top + box.bottom) / 2 - side / 2;
  const scale = SIDE / side;
  const view = cut(pyramid, left, top, side);
  const expected = {
    left: (box.left - left) * scale,
    top: (box.top - top) * scale,
    right: (box.right - left) * scale,
    bottom: (box.bottom - top) * scale,
    score: settings.never,
  };
  const seen = [{ ...expected, score: box.score }];
  for (const mirror of [false, true]) {
    let boxes = await look(mirror ? mirrored(view) : view, settings.never);
    if (mirror) boxes = boxes.map((one) => ({ ...one, left: SIDE - one.right, right: SIDE - one.left }));
    boxes = boxes.filter((one) => overlap(expected, one) > settings.same);
    const best = boxes.reduce((most, one) => (one.score > most.score ? one : most), boxes[0] ?? expected);
    seen.push(best);
    if (!mirror && best.score < Math.min(settings.min_score, settings.doubt)) return { ...box, score: settings.never };
  }
  const mean = (of) => seen.reduce((sum, one) => sum + of(one), 0) / seen.length;
  return {
    left: mean((one) => one.left) / scale + left,
    top: mean((one) => one.top) / scale + top,
    right: mean((one) => one.right) / scale + left,
    bottom: mean((one) => one.bottom) / scale + top,
    score: probability(mean((one) => logit(one.score, settings))),
  };
}

const knownAnchors = new WeakMap();

function anchorsOf(settings) {
  if (!knownAnchors.has(settings)) knownAnchors.set(settings, makeAnchors(settings.anchors));
  return knownAnchors.get(settings);
}

function makeAnchors(grids) {
  const points = [];
  for (const [stride, count] of grids) {
    for (let y = 0.5 * stride; y < SIDE; y += stride) {
      for (let x = 0.5 * stride; x < SIDE; x += stride) {
        for (let copy = 0; copy < count; copy++) points.push(x, y);
      }
    }
  }
  return points;
}

function makePyramid(image, levels) {
  const shorter = Math.min(image.width, image.height);
  let longer = Math.max(image.width, image.height);
  longer = Math.min(longer, Math.max(2 * shorter, Math.floor(longer / 4)));
  const pyramid = [{ picture: image, scale: 1 }];
  for (const level of [...levels].sort((a, b) => b - a)) {
    const scale = (SIDE * level) / longer;
    if (level > 1 && scale > 1) continue;
    const { picture } = pyramid.at(-1);
    const [width, height] = [roundEven(image.width * scale), roundEven(image.height * scale)];
    pyramid.push({ picture: resize(picture, width, height), scale });
  }
  return pyramid;
}

function starts(length, settings) {
  if (length <= SIDE) return [Math.floor((length - SIDE) / 2)];
  const count = Math.ceil((length - settings.tiles_share) / (SIDE - settings.tiles_share));
  const step = (length - SIDE) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? length - SIDE : roundEven(i * step)));
}

function isWhole(box, left, top, picture, { rim }) {
  return !(
    (left > 0 && box.left < rim) ||
    (top > 0 && box.top < rim) ||
    (left + SIDE < picture.width && box.right > SIDE - rim) ||
    (top + SIDE < picture.height && box.bottom > SIDE - rim)
  );
}

function moved(box, left, top, scale) {
  return {
    left: (box.left + left) / scale,
    top: (box.top + top) / scale,
    right: (box.right + left) / scale,
    bottom: (box.bottom + top) / scale,
    score: box.score,
  };
}

function cut(pyramid, left, top, side) {
  const enough = pyramid.filter((one) => one.scale * side >= SIDE);
  const { picture, scale } = enough.reduce((least, one) => (one.scale < least.scale ? one : least), pyramid[0]);
  const wide = Math.max(roundEven(side * scale), 1);
  return resize(windowOf(picture, roundEven(left * scale), roundEven(top * scale), wide), SIDE, SIDE);
}

function resize(image, width, height) {
  width = Math.max(width, 1);
  height = Math.max(height, 1);
  while (image.height >= 2 * height && image.width >= 2 * width) image = halve(image);
  return resizeLinear(image, width, height);
}

function merge(found, settings) {
  let waiting = [...found].sort((a, b) => b.score - a.score);
  const faces = [];
  while (waiting.length) {
    const [surest] = waiting;
    const same = waiting.filter((one) => overlap(surest, one) > settings.same);
    const weight = same.reduce((sum, one) => sum + one.score, 0);
    const mean = (of) => same.reduce((sum, one) => sum + of(one) * one.score, 0) / weight;
    faces.push({
      left: mean((one) => one.left),
      top: mean((one) => one.top),
      right: mean((one) => one.right),
      bottom: mean((one) => one.bottom),
      score: surest.score,
    });
    waiting = waiting.filter((one) => !same.includes(one) && shared(surest, one) <= settings.inside);
  }
  return faces;
}

function overlap(one, other) {
  const both = common(one, other);
  return both / (area(one) + area(other) - both);
}

function shared(one, other) {
  return common(one, other) / Math.min(area(one), area(other));
}

function common(one, other) {
  const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return Math.max(across, 0) * Math.max(down, 0);
}

function area(box) {
  return (box.right - box.left) * (box.bottom - box.top);
}

function probability(value) {
  return 1 / (1 + Math.exp(-Math.min(Math.max(value, -80), 80)));
}

function logit(value, { never }) {
  const bounded = Math.min(Math.max(value, never), 1 - never);
  return Math.log(bounded / (1 - bounded));
}
