// The curve under the player: how well the video answers over its time, beside an average clip of the library.
const WIDTH = 1000;
const HEIGHT = 100;

export function drawCurve(picture, curve, { start, end }) {
  picture.replaceChildren();
  if (!curve?.points.length || !(end > start)) return;
  const scores = curve.points.map((point) => point.score);
  const low = Math.min(curve.background, ...scores);
  const high = Math.max(curve.background, ...scores);
  const x = (seconds) => ((seconds - start) / (end - start)) * WIDTH;
  const y = (score) => HEIGHT - 4 - ((score - low) / Math.max(high - low, 1e-9)) * (HEIGHT - 8);
  const steps = curve.points.map((one) => `${x(one.start_seconds)} ${y(one.score)} L ${x(one.end_seconds)} ${y(one.score)}`);
  const edge = `M ${steps.join(" L ")}`;
  const [first, last] = [curve.points[0], curve.points.at(-1)];
  add(picture, "area", `${edge} L ${x(last.end_seconds)} ${HEIGHT} L ${x(first.start_seconds)} ${HEIGHT} Z`);
  add(picture, "edge", edge);
  add(picture, "zero", `M 0 ${y(curve.background)} L ${WIDTH} ${y(curve.background)}`);
}

function add(picture, name, path) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
  drawn.setAttribute("class", name);
  drawn.setAttribute("d", path);
  picture.append(drawn);
}
