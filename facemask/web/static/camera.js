// The camera: pictures go to the worker one after another, and none is kept.
const PROBLEMS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it in the settings of this page.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is in use by another program.",
};

/** Say why the camera cannot be used. */
export function cameraProblem(error) {
  return PROBLEMS[error.name] ?? `The camera cannot be used (${error.message}).`;
}

/** A running camera. */
export class Camera {
  #stream;
  #video;

  constructor(video) {
    this.#video = video;
  }

  get running() {
    return Boolean(this.#stream);
  }

  /**
   * Start, and predict each picture until `stop`.
   * @param {(bitmap: ImageBitmap) => Promise<object>} predict
   * @param {(prediction: object) => void} show
   */
  async run(predict, show) {
    if (!navigator.mediaDevices) throw new Error("the page must come from https or from this machine");
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    while (this.running) {
      const prediction = await predict(await createImageBitmap(this.#video));
      if (this.running) show(prediction);
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#video.srcObject = null;
  }
}
