// Where the time went: a bar and a row of numbers for each unit and device.

const nearlyNothing = 0.0005; // states below this share everywhere are left out

/// What can be chosen: the run, or one epoch, which has no account of its devices.
function stallChoices() {
  const whole = { name: "the whole run", seconds: result.seconds, units: unitStates, devices: deviceStates };
  const epochs = result.epochs.filter((epoch) => epoch.stages).map((epoch) => (
    { name: `epoch ${epoch.epoch}`, seconds: epoch.seconds, units: epoch.stages.map(inOrder), devices: [] }));
  return epochs.length > 1 ? [whole, ...epochs] : [whole];
}

function showStalls() {
  const choices = stallChoices();
  if (choices.length > 1) {
    const select = element("select", { id: "stalls-choice" },
      ...choices.map((choice, i) => element("option", { value: i }, choice.name)));
    select.addEventListener("change", () => drawStalls(choices[select.value]));
    document.getElementById("stalls-controls").append(element("label", {}, "Of", select));
  }
  drawStalls(choices[0]);
  const words = document.getElementById("state-words");
  for (const state of report.states) words.append(element("dt", {}, state), element("dd", {}, stateWords[state]));
}

function drawStalls(choice) {
  const all = [...choice.units, ...choice.devices];
  const shown = report.states.map((_, i) => i).filter((i) =>
    i === computeState || all.some((states) => states[i] > nearlyNothing * choice.seconds));
  const numbers = shown.map((_, i) => i + 2);
  const table = tableOf(["", "share of the time", ...shown.map((i) => report.states[i])], numbers);
  choice.units.forEach((states, i) => {
    const unit = pipeline.units[i];
    addStallRow(table, `${unit.name}`, `stage on ${pipeline.devices[unit.device]}`, states, shown, numbers);
  });
  choice.devices.forEach((states, i) =>
    addStallRow(table, pipeline.devices[i], "device", states, shown, numbers));
  document.getElementById("stalls").replaceChildren(element("div", { class: "scroll" }, table));
  document.getElementById("stalls-legend").replaceChildren(
    ...shown.map((i) => legendEntry(report.states[i], report.states[i])));
}

function addStallRow(table, name, what, states, shown, numbers) {
  const sum = states.reduce((a, b) => a + b, 0);
  const share = (i) => (sum > 0 ? states[i] / sum : 0);
  const words = shown.filter((i) => share(i) >= nearlyNothing).map((i) => `${report.states[i]} ${percent(share(i))}`);
  // Also those too small to have a column.
  const bar = element("div", { class: "bar", role: "img", "aria-label": `${name}: ${words.join(", ")}` },
    ...states.flatMap((value, i) => value > 0 ? [element("span", {
      title: `${report.states[i]}: ${percent(share(i), 2)}, ${seconds(value)}`,
      "data-state": report.states[i],
      style: { width: `${100 * share(i)}%`, background: `var(--${report.states[i]})` },
    })] : []));
  addRow(table, numbers, [element("span", { title: name }, name, element("br"), element("small", { class: "about" }, what)),
    bar, ...shown.map((i) => percent(share(i)))]);
  const row = table.tBodies[0].lastElementChild;
  row.dataset.row = what === "device" ? "device" : "unit";
  row.cells[0].classList.add("name");
  row.cells[1].classList.add("bar-cell");
}
