// Results as files, in the formats of `facemask predict`, and photographs with marked faces.
import { zip } from "./zip.js";

const EDGES = ["left", "top", "right", "bottom"];
const QUALITY = 0.92;

/** CSV with a row per face, and one for a file without faces. */
export function toCsv(results, { classes }) {
  const columns = ["file", "face", ...EDGES, "score", "answer", "label", ...classes.map((name) => `p_${name}`), "problem"];
  const rows = results.flatMap((result) => {
    if (!result.faces.length) {
      return [{ file: result.name, ...(result.problem ? { problem: result.problem } : { answer: "no face" }) }];
    }
    return result.faces.map((face, place) => ({
      file: result.name,
      face: place + 1,
      ...edgesOf(face.box),
      score: rounded(face.box.score, 4),
      answer: face.answer,
      label: face.label,
      ...Object.fromEntries(Object.entries(face.probabilities).map(([name, value]) => [`p_${name}`, value])),
    }));
  });
  const line = (cells) => `${cells.map(quoted).join(",")}\n`;
  return [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ""))].map(line).join("");
}

/** JSON with an object per file. */
export function toJson(results) {
  const files = results.map(({ name, width, height, faces, problem }) => ({
    file: name,
    width,
    height,
    faces: faces.map(({ box, answer, label, probabilities }) => ({
      box: edgesOf(box),
      score: rounded(box.score, 4),
      answer,
      label,
      probabilities,
    })),
    problem,
  }));
  return `${JSON.stringify(files, null, 1)}\n`;
}

/** One photograph with its faces marked, as JPEG in full size. */
export async function marked(result, words) {
  const bitmap = await createImageBitmap(result.shown);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("too large");
  context.fillStyle = "#808080";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const size = Math.max(Math.min(canvas.width, canvas.height) / 40, 11);
  for (const [place, face] of result.faces.entries()) drawMark(context, face, place + 1, size, words);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("too large"))), "image/jpeg", QUALITY);
  });
}

/** All usable photographs with their faces marked, as a ZIP archive. */
export async function allMarked(results, words) {
  const files = [];
  const taken = new Set();
  for (const result of results.filter((one) => !one.problem)) {
    const data = new Uint8Array(await (await marked(result, words)).arrayBuffer());
    files.push({ name: freeName(markedName(result), taken), data });
  }
  return zip(files);
}

/** Name of the marked copy of a photograph. */
export function markedName({ name }) {
  return `${name.replace(/\.[^.]*$/, "")}-marked.jpg`;
}

/** Offer content as a download. */
export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function freeName(name, taken) {
  let free = name;
  for (let number = 2; taken.has(free.toLowerCase()); number++) free = name.replace(/\.jpg$/, `-${number}.jpg`);
  taken.add(free.toLowerCase());
  return free;
}

function drawMark(context, face, number, size, words) {
  const { left, top, right, bottom } = face.box;
  const line = Math.max(Math.round(size / 8), 2);
  const frame = words.frame(face.answer);
  context.strokeStyle = words.colour(face.answer);
  context.lineWidth = line;
  context.setLineDash({ dashed: [4 * line, 2 * line], dotted: [line, line] }[frame] ?? []);
  context.strokeRect(left, top, right - left, bottom - top);
  if (frame === "double") context.strokeRect(left - 2 * line, top - 2 * line, right - left + 4 * line, bottom - top + 4 * line);
  context.setLineDash([]);
  context.font = `${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const text = `${number} ${words.symbol(face.answer)} ${words.title(face.answer)} ${words.percent(face)}`;
  const height = size * 1.4;
  const width = context.measureText(text).width + size * 0.6;
  const x = Math.min(Math.max(left, 0), Math.max(context.canvas.width - width, 0));
  const above = top - height - 2 * line;
  const y = above >= 0 ? above : Math.min(bottom + 2 * line, context.canvas.height - height);
  context.fillStyle = words.colour(face.answer);
  context.fillRect(x, y, width, height);
  context.fillStyle = "#000";
  context.fillText(text, x + size * 0.3, y + height / 2);
}

function edgesOf(box) {
  return Object.fromEntries(EDGES.map((edge) => [edge, rounded(box[edge], 1)]));
}

function rounded(value, digits) {
  return Number(value.toFixed(digits));
}

function quoted(cell) {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
