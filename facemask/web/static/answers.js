// Answers in words, shapes and colours: a colour alone says nothing to the colour-blind.
const SHAPES = {
  with_mask: { symbol: "●", frame: "solid" },
  mask_weared_incorrect: { symbol: "▲", frame: "dashed" },
  without_mask: { symbol: "■", frame: "double" },
  uncertain: { symbol: "?", frame: "dotted" },
  "too small": { symbol: "–", frame: "dotted" },
};
const TITLES = { uncertain: "Uncertain", "too small": "Too small to judge" };

const PROBLEMS = {
  "empty file": "The file is empty.",
  "not an image": "The file is not an image.",
  "HEIC is not supported": "HEIC files are not supported. Save the photograph as JPEG.",
  "not read by browsers": "Browsers cannot read this kind of file. Save the photograph as JPEG or PNG, in RGB.",
  "too large": "The photograph has more than MAX megapixels. Save a smaller copy.",
  truncated: "The file is incomplete: it ends before the picture does. Copy it again.",
  damaged: "The file is damaged: the picture cannot be read.",
};

const OTHER_COLOURS =
  "Browsers convert the colour profile of this file in their own way: the answers of facemask predict may differ a little.";

/** Turn answers into what a person sees and hears. */
export class Words {
  constructor(settings) {
    this.settings = settings;
  }

  /** The kinds of answers in the order of tables. */
  get answers() {
    return Object.keys(SHAPES);
  }

  title(answer) {
    return this.settings.titles[answer] ?? TITLES[answer];
  }

  symbol(answer) {
    return SHAPES[answer].symbol;
  }

  frame(answer) {
    return SHAPES[answer].frame;
  }

  colour(answer) {
    return this.settings.colours[answer] ?? this.settings.otherwise;
  }

  /** A face in one line: "Mask worn correctly, 98.3%", "Uncertain: most likely no mask, 52.0%". */
  describe(face) {
    if (!face.label) return this.title(face.answer);
    const percent = `${(100 * face.probabilities[face.label]).toFixed(1)}%`;
    if (face.answer === face.label) return `${this.title(face.answer)}, ${percent}`;
    return `${this.title(face.answer)}: most likely ${lowered(this.title(face.label))}, ${percent}`;
  }

  /** The probability of the likeliest class, short; nothing for a face that is too small. */
  percent(face) {
    return face.label ? `${Math.round(100 * face.probabilities[face.label])}%` : "";
  }

  problem(reason) {
    return (PROBLEMS[reason] ?? `The photograph could not be processed (${reason}).`).replace(
      "MAX",
      this.settings.max_megapixels,
    );
  }

  /** What there is to know about an answered photograph, or nothing. */
  note({ colours }) {
    return colours === "nearly" ? OTHER_COLOURS : "";
  }

  count(number) {
    if (number === 0) return "no face";
    return number === 1 ? "1 face" : `${number} faces`;
  }
}

function lowered(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
