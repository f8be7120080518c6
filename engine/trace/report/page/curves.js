// Loss and accuracy, epoch by epoch.

/// The chart's size in its own units; it is scaled to its place.
const chart = { width: 520, height: 230, left: 52, right: 12, top: 10, bottom: 34 };

function showCurves() {
  const { epochs } = result;
  if (epochs.length === 0) {
    document.getElementById("curves-section").hidden = true;
    return;
  }
  const series = (name, colour, field) => ({ name, colour, points: epochs.map((epoch) => [epoch.epoch, epoch[field]]) });
  document.getElementById("curves").append(
    chartOf("Loss", [series("training", "compute", "loss"), series("test", "starved", "test_loss")],
      (value) => String(+value.toPrecision(3))),
    chartOf("Test accuracy", [series("test", "starved", "test_accuracy")], (value) => `${+(100 * value).toFixed(2)}%`));
}

function chartOf(title, series, text) {
  const points = series.flatMap((one) => one.points.filter(([, value]) => value !== null));
  const figure = element("figure", {}, element("figcaption", {}, title));
  if (points.length === 0) {
    figure.append(element("p", { class: "about" }, "not measured"));
    return figure;
  }
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const span = (values, least) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max((high - low) * 0.08, least);
    return [low - room, high + room];
  };
  const [x0, x1] = [Math.min(...xs) - 0.5, Math.max(...xs) + 0.5];
  const [y0, y1] = span(ys, Math.max(Math.abs(ys[0]) * 0.01, 1e-6));
  const x = (value) => chart.left + ((value - x0) / (x1 - x0)) * (chart.width - chart.left - chart.right);
  const y = (value) => chart.height - chart.bottom - ((value - y0) / (y1 - y0)) * (chart.height - chart.top - chart.bottom);
  const svg = svgElement("svg", { viewBox: `0 0 ${chart.width} ${chart.height}`, role: "img", "aria-label":
    `${title}: ${series.map((one) => `${one.name} ${one.points.map(([at, value]) =>
      `epoch ${at} ${value === null ? "unknown" : text(value)}`).join(", ")}`).join("; ")}` });
  drawChartAxes(svg, { x, y, x0, x1, y0, y1, text });
  for (const one of series) drawCurve(svg, one, x, y, text);
  figure.append(svg, element("div", { class: "legend" }, ...series.map((one) => legendEntry(one.colour, one.name))));
  return figure;
}

function drawChartAxes(svg, { x, y, x0, x1, y0, y1, text }) {
  for (const value of marks(y0, y1, 4).list) {
    svg.append(svgElement("line", { class: "axis", x1: chart.left, x2: chart.width - chart.right, y1: y(value),
      y2: y(value) }));
    svg.append(svgElement("text", { class: "faint", x: chart.left - 6, y: y(value) + 4, "text-anchor": "end" },
      text(value)));
  }
  const whole = marks(x0, x1, 8).list.filter((value) => Number.isInteger(value));
  for (const value of whole)
    svg.append(svgElement("text", { class: "faint", x: x(value), y: chart.height - chart.bottom + 16,
      "text-anchor": "middle" }, value));
  svg.append(svgElement("text", { class: "faint", x: (chart.left + chart.width - chart.right) / 2, y: chart.height - 3,
    "text-anchor": "middle" }, "epoch"));
}

function drawCurve(svg, { name, colour, points }, x, y, text) {
  const known = points.filter(([, value]) => value !== null);
  const stroke = `var(--${colour})`;
  svg.append(svgElement("polyline", { fill: "none", style: { stroke, "stroke-width": "2" },
    points: known.map(([at, value]) => `${x(at)},${y(value)}`).join(" ") }));
  for (const [at, value] of known)
    svg.append(svgElement("circle", { cx: x(at), cy: y(value), r: 3.5, style: { fill: stroke } },
      svgElement("title", {}, `epoch ${at}: ${name} ${text(value)}`)));
}
