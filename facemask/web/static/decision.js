// The decision rule of facemask/models/decision.py.

/** Return the index of the class with the lowest expected cost. */
export function choose(probabilities, { classes, costs }) {
  const expected = classes.map((answer) =>
    classes.reduce((sum, actual, i) => sum + probabilities[i] * costs[actual][answer], 0),
  );
  return expected.indexOf(Math.min(...expected));
}

/** Return the chosen class and the answer: the class too, or `uncertain` below its threshold. */
export function decide(probabilities, labels) {
  const place = choose(probabilities, labels);
  const label = labels.classes[place];
  return { label, answer: probabilities[place] >= labels.thresholds[label] ? label : "uncertain" };
}
