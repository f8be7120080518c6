// Puts the page together.

function showHeader() {
  const title = `${result.graph}: ${result.mode === "infer" ? "inferred" : "trained"} on ${result.data.set}`;
  document.title = `${title} - lenet-flow report`;
  document.getElementById("title").textContent = title;
  const line = document.getElementById("closing-line");
  line.textContent = result.diagnosis.line;
  line.hidden = line.textContent === "";
  document.getElementById("subtitle").textContent = result.command;
  document.getElementById("notes").append(...result.warnings.map((note) => element("li", {}, note)));
}

function showTimeline() {
  const section = document.getElementById("timeline-section");
  if (passes.length === 0 || passes.every((pass) => pass.actions === 0)) {
    section.replaceChildren(element("h2", {}, "Timeline"), element("p", {}, "Nothing was recorded."));
    return undefined;
  }
  const timeline = new Timeline(document.getElementById("timeline"));
  addTimelineControls(timeline);
  showPass(timeline, passes[passes.length - 1]);
  document.getElementById("timeline-legend").append(
    ...kinds.filter((_, kind) => passes.some((pass) => pass.units.some((trace) => trace.kind.includes(kind))))
      .map((kind) => legendEntry(kind, `${kind} ${kindWords[kind]}`)),
    ...report.states.filter((_, state) => passes.some((pass) => pass.units.some((trace) => trace.state.includes(state))))
      .map((state) => legendEntry(state, state)));
  return timeline;
}

function showPass(timeline, pass) {
  const what = pass.training ? `epoch ${pass.epoch}` : "the images inferred";
  const kept = pass.whole ? `all ${count(pass.actions)} actions`
    : pass.lost > 0 ? `${count(pass.actions)} actions; ${count(pass.lost)} events were lost, where they were is unaccounted`
    : `the first ${count(pass.actions)} actions`;
  document.getElementById("timeline-about").textContent =
    `Of ${what}: ${kept}. What ran on each device, ` +
    (timeline.predicts() ? "under it what the schedule predicts with the actions' mean times; " : "") +
    "the states of each stage; how many micro-batches each link held (dark: waiting).";
  timeline.show(pass);
}

function addTimelineControls(timeline) {
  const controls = document.getElementById("timeline-controls");
  const button = (text, title, action) => {
    const made = element("button", { type: "button", title }, text);
    made.addEventListener("click", action);
    controls.append(made);
  };
  if (passes.length > 1) {
    const select = element("select", {}, ...passes.map((pass, i) => element("option", { value: i }, `epoch ${pass.epoch}`)));
    select.value = passes.length - 1;
    select.addEventListener("change", () => showPass(timeline, passes[select.value]));
    controls.append(element("label", {}, "Pass", select));
  }
  button("Zoom in", "+", () => timeline.zoom(0.5));
  button("Zoom out", "-", () => timeline.zoom(2));
  button("All", "0", () => timeline.look(0, timeline.pass.end));
  if (timeline.predicts())
    button("Predict from here", "Compare the prediction with the first batch that is shown", () => timeline.anchorHere());
  const field = element("input", { type: "number", min: 1, id: "micro-batch" });
  field.addEventListener("change", () => timeline.pick(field.value === "" ? -1 : Number(field.value) - 1, true));
  controls.append(element("label", {}, "Micro-batch", field));
}

showHeader();
showFigures();
const timeline = showTimeline();
showStalls();
showCauses();
showGraph();
showLayers();
showCurves();
showGraphFile();
showMachine();
