// Finds and classifies faces, away from the page, which stays responsive. A classic worker: LiteRT.js loads its
// WebAssembly with `importScripts`, which modules lack.
let ready;

self.onmessage = async ({ data: { id, task, ...input } }) => {
  try {
    if (task === "start") ready = start(input);
    const tasks = await ready;
    self.postMessage({ id, result: task === "start" ? {} : await tasks[task](input) });
  } catch (error) {
    self.postMessage({ id, problem: error.reason ?? "", error: String(error) });
  }
};

async function start({ base, files, labels, settings }) {
  const [image, decoding, detection, decision, litert] = await Promise.all(
    ["image.js", "decode.js", "detector.js", "decision.js", "runtime/litert.js"].map((name) => import(base + name)),
  );
  self.Module = { wasmBinary: files.runtime, locateFile: (name) => `${base}runtime/${name}` };
  await litert.loadLiteRt(`${base}runtime/litert_wasm_compat_internal.js`);
  const options = { accelerator: "wasm", cpuOptions: { numThreads: 1 } };
  const [classifier, detector] = await Promise.all([
    litert.loadAndCompile(new Uint8Array(files.model), options),
    litert.loadAndCompile(new Uint8Array(files.detector), options),
  ]);

  async function run(model, values, shape) {
    const input = new litert.Tensor(values, shape);
    const outputs = await model.run([input]);
    const arrays = outputs.map((output) => output.toTypedArray());
    for (const tensor of [input, ...outputs]) tensor.delete();
    return arrays;
  }

  async function look(view) {
    const arrays = await run(detector, view, [1, 128, 128, 3]);
    arrays.sort((one, other) => other.length - one.length);
    return { boxes: arrays[0], scores: arrays[1] };
  }

  async function classify(picture, box) {
    if (detection.sideOf(box) < settings.min_face) return { box, answer: "too small", label: "", probabilities: {} };
    const size = labels.input.height_width[0];
    const { left, top, side } = detection.cropOf(box, settings.margin);
    const crop = image.resizeSquare(image.clampedWindow(picture, left, top, side), size);
    const [probabilities] = await run(classifier, crop.data, [1, size, size, 3]);
    const named = labels.classes.map((name, i) => [name, Math.round(probabilities[i] * 1e6) / 1e6]);
    return { box, ...decision.decide(probabilities, labels), probabilities: Object.fromEntries(named) };
  }

  async function predict(picture) {
    const start = performance.now();
    const boxes = await detection.detect(picture, look, settings);
    boxes.sort((one, other) => one.left - other.left || one.top - other.top);
    const found = performance.now();
    const faces = [];
    for (const box of boxes) faces.push(await classify(picture, box));
    const milliseconds = { detect: found - start, classify: performance.now() - found }; // for benchmarks/page.py
    return { width: picture.width, height: picture.height, faces, milliseconds };
  }

  return {
    photograph: async ({ file }) => {
      const { picture, shown, colours } = await decoding.decode(file, settings.max_megapixels);
      return { ...(await predict(picture)), shown, colours };
    },
    frame: async ({ bitmap }) => {
      const { picture } = decoding.pixelsOf(bitmap);
      bitmap.close();
      return predict(picture);
    },
  };
}
