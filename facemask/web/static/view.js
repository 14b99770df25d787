// What the page shows of a photograph: its faces framed, and a list of them in words.

const ROOM = 0.08; // share of the height that a label needs

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) shortenLabels(target);
});

/** Create an element with attributes or properties and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Show one file: its photograph with frames and a list, or why it cannot be used. */
export function showFile(result, words, onSave) {
  const heading = element("h3", {}, result.name);
  if (result.problem) {
    return element("article", {}, heading, element("p", { className: "problem" }, words.problem(result.problem)));
  }
  const alt = `${result.name}, ${words.count(result.faces.length)}`;
  const picture = element("img", { src: result.address, alt });
  const marks = element("div", { className: "marks", ariaHidden: "true" });
  showMarks(marks, result, words);
  resized.observe(marks);
  const photo = element("div", { className: "photo fixed" }, picture, marks);
  fit(photo, result);
  const save = element("button", { type: "button", onclick: () => onSave(result) }, "Save marked photograph");
  save.setAttribute("aria-label", `Save ${result.name} with marked faces`);
  const buttons = element("p", { className: "buttons" }, save);
  const note = element("p", { className: "hint", hidden: !words.note(result) }, words.note(result));
  return element("article", {}, heading, photo, listOfFaces(result.faces, words), note, buttons);
}

/** Show a photograph or the camera no larger than it is, and than the window. */
export function fit(photo, { width, height }) {
  photo.style.maxWidth = `min(100%, ${width}px, ${(80 * width) / height}vh)`;
}

/** Replace the frames over a photograph or the camera. */
export function showMarks(marks, { width, height, faces }, words) {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  marks.replaceChildren(
    ...faces.flatMap((face, place) => {
      const { left, top, right, bottom } = face.box;
      const frame = element("div", { className: `mark shape-${words.frame(face.answer)}` });
      frame.style.setProperty("--colour", words.colour(face.answer));
      frame.style.left = share(left, width);
      frame.style.top = share(top, height);
      frame.style.width = share(right - left, width);
      frame.style.height = share(bottom - top, height);
      return [frame, labelOf(face, place + 1, { width, height }, words)];
    }),
  );
  shortenLabels(marks);
}

/** The lines of a list of faces, from left to right. */
export function listOfFaces(faces, words) {
  if (!faces.length) return element("p", {}, "No face found.");
  return element(
    "ol",
    { className: "faces" },
    ...faces.map((face) => element("li", {}, shapeOf(face.answer, words), words.describe(face))),
  );
}

/** The sign of an answer, for the eye only. */
export function shapeOf(answer, words) {
  const shape = element("span", { className: "shape", ariaHidden: "true" }, words.symbol(answer));
  shape.style.setProperty("--colour", words.colour(answer));
  return shape;
}

function labelOf(face, number, { width, height }, words) {
  const { left, right, top, bottom } = face.box;
  const title = element("span", { className: "words" }, `${words.title(face.answer)} `);
  const label = element("div", { className: "label" }, `${number} ${words.symbol(face.answer)} `, title, words.percent(face));
  label.style.setProperty("--colour", words.colour(face.answer));
  if ((left + right) / 2 < width / 2) label.style.left = `${Math.max((100 * left) / width, 0)}%`;
  else label.style.right = `${Math.max(100 - (100 * right) / width, 0)}%`;
  if (top / height > ROOM) label.style.bottom = `${100 - (100 * top) / height}%`;
  else label.style.top = `${100 * Math.min(bottom / height, 1 - ROOM)}%`;
  return label;
}

/** Leave the words out of labels that would cover one another, or reach beyond the photograph. */
function shortenLabels(marks) {
  const labels = [...marks.querySelectorAll(".label")];
  for (const label of labels) label.classList.remove("short");
  const area = marks.getBoundingClientRect();
  const places = labels.map((label) => label.getBoundingClientRect());
  labels.forEach((label, i) => {
    const outside = places[i].left < area.left || places[i].right > area.right;
    const covered = places.some((other, j) => i !== j && meet(places[i], other));
    label.classList.toggle("short", outside || covered);
  });
}

function meet(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
