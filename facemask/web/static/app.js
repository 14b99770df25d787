// The page: takes photographs and camera pictures, has the worker predict them, shows and saves the results.
import { Words } from "./answers.js";
import { Camera, cameraProblem } from "./camera.js";
import { load } from "./load.js";
import { allMarked, download, marked, markedName, toCsv, toJson } from "./save.js";
import { element, fit, listOfFaces, shapeOf, showFile, showMarks } from "./view.js";

const find = (id) => document.getElementById(id);
const results = [];
let queue = [];
let working = false;

await main();

async function main() {
  find("unstarted").hidden = true;
  find("loading").hidden = false;
  try {
    const loaded = await load((share) => (find("progress").value = Math.max(find("progress").value, share)));
    begin(loaded);
  } catch (error) {
    find("status").textContent = `The page could not load: ${error.message}`;
    find("status").className = "problem";
    document.body.dataset.state = "failed";
  } finally {
    find("loading").hidden = true;
  }
}

function begin({ settings, labels, worker }) {
  const words = new Words(settings);
  const add = (files) => enqueue([...files], worker, words);
  find("input").hidden = false;
  find("choose").onclick = () => find("files").click();
  find("files").onchange = ({ target }) => {
    add(target.files);
    target.value = "";
  };
  takeDropped(add);
  document.addEventListener("paste", ({ clipboardData }) => add(clipboardData.files));
  find("save-csv").onclick = () => download("faces.csv", new Blob([toCsv(results, labels)], { type: "text/csv" }));
  find("save-json").onclick = () => download("faces.json", new Blob([toJson(results)], { type: "application/json" }));
  find("save-pictures").onclick = () => saving(async () => download("marked.zip", await allMarked(results, words)));
  find("clear").onclick = () => clear(words);
  runCamera(worker, words);
  document.body.dataset.state = "ready";
}

function takeDropped(add) {
  const highlight = (on) => find("drop").classList.toggle("over", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    highlight(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? highlight(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    highlight(false);
    add(event.dataTransfer.files);
  });
}

async function enqueue(files, worker, words) {
  queue.push(...files);
  if (working) return;
  working = true;
  let done = 0;
  while (queue.length) {
    const waiting = queue;
    const file = waiting.shift();
    say(`Photograph ${done + 1} of ${done + 1 + waiting.length}: ${file.name} …`);
    const result = await predict(file, worker);
    if (waiting !== queue) {
      done = 0; // cleared meanwhile
      continue;
    }
    done++;
    results.push(result);
    if (result.shown) result.address = URL.createObjectURL(result.shown);
    find("results").append(showFile(result, words, (one) => savePicture(one, words)));
    showCounts(words);
  }
  working = false;
  say(results.length ? summaryOf(words) : "");
}

async function predict(file, worker) {
  try {
    return { name: file.name, problem: "", ...(await worker.ask("photograph", { file })) };
  } catch (error) {
    return { name: file.name, width: 0, height: 0, faces: [], problem: error.reason || error.message };
  }
}

function summaryOf(words) {
  const faces = results.reduce((sum, { faces }) => sum + faces.length, 0);
  const unused = results.filter(({ problem }) => problem).length;
  const photographs = results.length === 1 ? "1 photograph" : `${results.length} photographs`;
  return `${photographs}, ${words.count(faces)}${unused ? `; ${unused} could not be used` : ""}.`;
}

function showCounts(words) {
  const faces = results.flatMap((result) => result.faces);
  find("counts").replaceChildren(
    ...words.answers.map((answer) => {
      const count = faces.filter((face) => face.answer === answer).length;
      const name = element("th", { scope: "row" }, shapeOf(answer, words), words.title(answer));
      return element("tr", {}, name, element("td", { className: "number" }, String(count)));
    }),
  );
  find("summary").hidden = results.length === 0;
}

function clear(words) {
  queue = [];
  for (const { address } of results) if (address) URL.revokeObjectURL(address);
  results.length = 0;
  find("results").replaceChildren();
  showCounts(words);
  say("");
  find("choose").focus();
}

const savePicture = (result, words) =>
  saving(async () => download(markedName(result), await marked(result, words)));

async function saving(work) {
  try {
    await work();
  } catch (error) {
    say(`The picture could not be saved (${error.message}).`);
  }
}

function runCamera(worker, words) {
  const camera = new Camera(find("video"));
  const show = (prediction) => {
    fit(find("video").parentElement, prediction);
    showMarks(find("camera-marks"), prediction, words);
    find("camera-text").replaceChildren(listOfFaces(prediction.faces, words));
    find("camera").dataset.pictures = Number(find("camera").dataset.pictures ?? 0) + 1;
  };
  find("camera-start").onclick = async () => {
    find("camera-start").disabled = true;
    find("camera").hidden = false;
    find("camera-stop").focus();
    say("The camera starts; its pictures are not kept.");
    try {
      await camera.run((bitmap) => worker.ask("frame", { bitmap }, [bitmap]), show);
    } catch (error) {
      say(cameraProblem(error));
      find("camera-stop").click();
    }
  };
  find("camera-stop").onclick = () => {
    if (camera.running) say("The camera is off.");
    camera.stop();
    find("camera-marks").replaceChildren();
    find("camera-text").replaceChildren();
    find("camera").hidden = true;
    find("camera-start").disabled = false;
    find("camera-start").focus();
  };
}

function say(text) {
  find("status").textContent = text;
}
