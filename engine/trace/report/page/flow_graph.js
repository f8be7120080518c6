// The flow graph: a box a stage, placed by how many stages lie before it, with its layers; links between them.

const boxSize = { width: 190, header: 42, layer: 22, gapX: 96, gapY: 26, margin: 14 };

function showGraph() {
  const stages = pipeline.stages.map((name, number) => ({
    name, number, depth: 0,
    layers: report.layers.filter((layer) => layer.stage === number),
    units: pipeline.units.filter((unit) => unit.stage === number),
  }));
  layOut(stages);
  const width = Math.max(...stages.map((stage) => stage.x + boxSize.width)) + boxSize.gapX + boxSize.margin;
  const height = Math.max(...stages.map((stage) => stage.y + stage.height)) + boxSize.margin + 18;
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${stages.length} stages: ${stages.map((stage) => `${stage.name} on ${devicesOf(stage)}`).join("; ")}` });
  svg.append(svgElement("defs", {}, svgElement("marker", { id: "arrow", viewBox: "0 0 10 10", refX: 9, refY: 5,
    markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
    svgElement("path", { d: "M0 0 L10 5 L0 10 z", style: { fill: "var(--faint)" } }))));
  for (const link of report.links) drawLink(svg, link, stages);
  drawEnd(svg, stages);
  for (const stage of stages) drawStage(svg, stage);
  document.getElementById("graph").append(svg);
  showLinks();
}

function devicesOf(stage) {
  return stage.units.map((unit) => pipeline.devices[unit.device]).join(", ");
}

/// Columns by depth: the longest way from the reader. Stages come in a topological order.
function layOut(stages) {
  const columns = [];
  for (const stage of stages) {
    const before = report.links.filter((link) => link.to === stage.number && link.from >= 0);
    stage.depth = Math.max(0, ...before.map((link) => stages[link.from].depth + 1));
    stage.height = boxSize.header + stage.layers.length * boxSize.layer + 8;
    const column = (columns[stage.depth] ??= []);
    stage.x = boxSize.margin + boxSize.gapX * 0.9 + stage.depth * (boxSize.width + boxSize.gapX);
    stage.y = boxSize.margin + column.reduce((sum, other) => sum + other.height + boxSize.gapY, 0);
    column.push(stage);
  }
}

/// A text that is cut to `width` pixels; the whole of it is its title.
function svgText(text, x, y, width, attributes = {}) {
  const context = (svgText.context ??= document.createElement("canvas").getContext("2d"));
  context.font = `${attributes["font-weight"] ?? ""} 12px system-ui, sans-serif`;
  const shown = fitted(context, text, width);
  return svgElement("text", { x, y, ...attributes }, shown, ...(shown === text ? [] : [svgElement("title", {}, text)]));
}

function drawStage(svg, stage) {
  const { x, y, height } = stage;
  const colour = `var(--device${stage.units[0].device % 6})`;
  const group = svgElement("g", { "data-stage": stage.name });
  group.append(svgElement("rect", { x, y, width: boxSize.width, height, rx: 5,
    style: { fill: "var(--panel)", stroke: colour, "stroke-width": "2" } }));
  group.append(svgText(stage.name, x + 10, y + 18, boxSize.width - 20, { "font-weight": "600" }));
  group.append(svgText(`on ${devicesOf(stage)}`, x + 10, y + 33, boxSize.width - 20, { style: { fill: colour } }));
  const time = stepSeconds(stage);
  const whole = [...time.values()].reduce((a, b) => a + b, 0);
  stage.layers.forEach((layer, i) => {
    const top = y + boxSize.header + i * boxSize.layer;
    const share = whole > 0 ? (time.get(layer.name) ?? 0) / whole : 0;
    const words = `${layer.name}: ${layer.type}, output ${layer.shape}, ${percent(share)} of the stage's compute`;
    group.append(svgElement("rect", { x: x + 6, y: top, width: boxSize.width - 12, height: boxSize.layer - 3, rx: 2,
      style: { fill: "var(--page)" } }, svgElement("title", {}, words)));
    group.append(svgElement("rect", { x: x + 6, y: top, width: (boxSize.width - 12) * share, height: boxSize.layer - 3,
      rx: 2, style: { fill: "var(--bar)" } }, svgElement("title", {}, words)));
    group.append(svgText(layer.name, x + 11, top + 14, 78));
    group.append(svgText(layer.shape, x + boxSize.width - 11, top + 14, 84, { "text-anchor": "end", class: "faint" }));
  });
  drawJumps(group, stage);
  svg.append(group);
}

/// Seconds of all steps of a stage, by layer.
function stepSeconds(stage) {
  const time = new Map();
  for (const step of steps) {
    if (pipeline.units[step.unit].stage !== stage.number) continue;
    const layer = step.step.replace(/ \(again\)$/, "");
    time.set(layer, (time.get(layer) ?? 0) + step.total);
  }
  return time;
}

/// Outputs that are read by another layer of the stage than the next one, as arcs beside the box.
function drawJumps(group, stage) {
  const place = (layer) => stage.y + boxSize.header + stage.layers.indexOf(layer) * boxSize.layer + boxSize.layer / 2 - 1;
  const right = stage.x + boxSize.width - 5;
  for (const layer of stage.layers)
    for (const producer of layer.producers) {
      const from = report.layers[producer];
      if (!from || from.stage !== stage.number) continue;
      if (stage.layers.indexOf(layer) === stage.layers.indexOf(from) + 1) continue;
      const out = Math.min(14 + 3 * (stage.layers.indexOf(layer) - stage.layers.indexOf(from)), 46);
      group.append(svgElement("path", { fill: "none", "marker-end": "url(#arrow)", style: { stroke: "var(--faint)" },
        d: `M${right} ${place(from)} C${right + out} ${place(from)} ${right + out} ${place(layer)} ${right} ${place(layer)}` }));
    }
}

function drawLink(svg, link, stages) {
  const to = stages[link.to];
  const toY = to.y + boxSize.header / 2 + 4;
  const from = link.from < 0 ? null : stages[link.from];
  const x0 = from ? from.x + boxSize.width : boxSize.margin + 44;
  const y0 = from ? from.y + boxSize.header / 2 + 4 : toY;
  const x1 = to.x - 3;
  const bend = (x1 - x0) / 2;
  if (!from) svg.append(svgElement("text", { x: boxSize.margin, y: toY + 4 }, "reader"));
  const jumps = from && to.depth > from.depth + 1;
  // A link that passes other stages goes below them.
  const low = jumps ? Math.max(...stages.map((stage) => stage.y + stage.height)) + 8 : 0;
  const path = jumps
    ? `M${x0} ${y0} C${x0 + 60} ${y0} ${x0 + 20} ${low} ${x0 + 70} ${low} ` +
      `L${x1 - 70} ${low} C${x1 - 20} ${low} ${x1 - 60} ${toY} ${x1} ${toY}`
    : `M${x0} ${y0} C${x0 + bend} ${y0} ${x1 - bend} ${toY} ${x1} ${toY}`;
  svg.append(svgElement("path", { d: path, fill: "none", "marker-end": "url(#arrow)",
    style: { stroke: "var(--faint)", "stroke-width": "1.6" } }, svgElement("title", {}, link.name)));
  const middleX = (x0 + x1) / 2;
  const middleY = jumps ? low : (y0 + toY) / 2;
  if (from) svg.append(svgElement("text", { x: middleX, y: middleY - 6, "text-anchor": "middle", class: "faint" },
    bytes(link.bytes)));
}

/// The loss, behind the last stage.
function drawEnd(svg, stages) {
  const leaves = stages.filter((stage) => !report.links.some((link) => link.from === stage.number));
  for (const stage of leaves) {
    const x = stage.x + boxSize.width, y = stage.y + boxSize.header / 2 + 4;
    svg.append(svgElement("path", { d: `M${x} ${y} L${x + 40} ${y}`, "marker-end": "url(#arrow)",
      style: { stroke: "var(--faint)", "stroke-width": "1.6" } }));
    svg.append(svgElement("text", { x: x + 46, y: y + 4 }, result.mode === "infer" ? "output" : "loss"));
  }
}

/// What each link carried.
function showLinks() {
  const links = report.links.filter((link) => link.from >= 0);
  if (links.length === 0 || passes.length === 0) return;
  const numbers = [1, 2, 3, 4];
  const table = tableOf(["link", "a micro-batch", "waiting on average", "held on average", "held at most"], numbers);
  for (const link of links) {
    const { waiting, held } = new LinkRow(passes[passes.length - 1], link);
    addRow(table, numbers, [link.name, bytes(link.bytes), digits(waiting.mean, 2), digits(held.mean, 2),
      `${held.highest} of ${pipeline.link_capacity}`]);
    markNames(table.tBodies[0].lastElementChild, [0]);
  }
  document.getElementById("links").append(table);
}
