// Tables and figures.

/// A table with headings; `numbers`: columns that are set to the right.
function tableOf(headings, numbers = []) {
  const cells = headings.map((text, i) =>
    element("th", { scope: "col", ...(numbers.includes(i) ? { class: "number" } : {}) }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, ...cells)), element("tbody"));
}

function addRow(table, numbers, cells) {
  table.tBodies[0].append(element("tr", {}, ...cells.map((cell, i) =>
    element("td", numbers.includes(i) ? { class: "number" } : {}, cell))));
}

/// Cuts names that are too long for their columns, and shows the whole of them as a title.
function markNames(row, columns) {
  for (const column of columns) {
    row.cells[column].classList.add("name");
    row.cells[column].title = row.cells[column].textContent;
  }
}

/// Lets a click on a heading sort the rows; `keys[row][column]` are what is compared.
function makeSortable(table, keys) {
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = element("button", { type: "button" }, heading.textContent);
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      const byNumber = typeof keys[0]?.[column] === "number";
      heading.setAttribute("aria-sort", byNumber ? "descending" : "ascending");
      const order = rows.map((_, i) => i).sort((a, b) => {
        const [x, y] = [keys[a][column], keys[b][column]];
        return (byNumber ? y - x : String(x).localeCompare(String(y))) || a - b;
      });
      table.tBodies[0].append(...order.map((i) => rows[i]));
    });
  });
}

/// A share as a number with a bar of that length.
function shareCell(share, colour = "accent") {
  if (!Number.isFinite(share)) return "-";
  const width = `${Math.min(share, 1) * 4}rem`;
  return element("span", { class: "share-cell" },
    element("span", { class: "share", style: { width, background: `var(--${colour})` } }), percent(share));
}

function showFigures() {
  const list = document.getElementById("figures");
  const figure = (name, value, small = "") =>
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, small))));
  const { pipeline: settings } = result;
  const predicted = timelineData.predicted;
  figure("images a second", count(result.images_per_second),
    `${count(result.images)} images in ${seconds(result.seconds)}` );
  if (predicted?.images_per_second > 0)
    figure("predicted by the schedule", `${count(predicted.images_per_second)} /s`, "with the actions' mean times");
  if (result.test_accuracy !== null)
    figure("test accuracy", percent(result.test_accuracy, 2), `test loss ${result.test_loss?.toPrecision(4)}`);
  figure("bubble", percent(settings.bubble_measured), settings.bubble_theory === null ? "of the stages' time"
    : `${percent(settings.bubble_theory)} in theory, were all stages equal`);
  figure("schedule", settings.schedule,
    `${settings.micro_batches} micro-batches of ${settings.micro_batch}, ${settings.in_flight} in flight`);
  const injected = result.stages.reduce((sum, stage) => sum + stage.injected_seconds, 0);
  if (injected > 0) figure("injected delays", seconds(injected), "of the stages' time, made on purpose");
  figure("events lost", count(result.trace.lost), result.trace.lost > 0 ? "their time is unaccounted"
    : `of ${count(result.trace.events)}; tracing took ${percent(result.trace.device_share, 2)} of the devices' time`);
  figure("memory", bytes(result.memory.peak_resident_bytes), "resident at most");
}

/// Whether a root is shown as more than 0.0%.
function countsForSomething(root) {
  return root.share >= 0.0005;
}

function showCauses() {
  const { diagnosis } = result;
  if (diagnosis.causes.length === 0 && !diagnosis.waits.some((roots) => roots.length > 0)) return;
  document.getElementById("causes-section").hidden = false;
  document.getElementById("causes-about").textContent =
    "What the time would be shorter by without each cause (the record played through again without it), and whom each " +
    "stage's waiting is charged to" + (diagnosis.basis ? `. Basis: ${diagnosis.basis}.` : ".");
  const box = document.getElementById("causes");
  const causes = tableOf(["cause", "time", "share"], [1, 2]);
  for (const root of diagnosis.causes.filter(countsForSomething)) addRow(causes, [1, 2], [root.name, seconds(root.seconds), shareCell(root.share)]);
  for (const row of causes.tBodies[0].rows) markNames(row, [0]);
  if (diagnosis.causes.length > 0) box.append(element("div", { class: "scroll" }, causes));
  const waits = tableOf(["stage", "waits for", "time", "share"], [2, 3]);
  diagnosis.waits.forEach((roots, unit) => roots.filter(countsForSomething).forEach((root, i) => addRow(waits, [2, 3],
    [i === 0 ? pipeline.units[unit].name : "", root.name, seconds(root.seconds), shareCell(root.share, "starved")])));
  for (const row of waits.tBodies[0].rows) markNames(row, [0, 1]);
  if (diagnosis.waits.some((roots) => roots.length > 0)) box.append(element("div", { class: "scroll" }, waits));
}

/// Each layer's actions with their times, against what the device's arithmetic could do.
function showLayers() {
  const peak = report.peak_flops;
  const peaks = peak.flatMap((flops, i) => (flops > 0 ? [`${pipeline.devices[i]} ${amount(flops, "FLOP/s")}`] : []));
  document.getElementById("layers-about").textContent = peaks.length === 0
    ? "Times of one micro-batch. The devices' arithmetic limits are not known."
    : "Times of one micro-batch. The arithmetic limit is what the layer's operations would take at the device's peak, " +
      "measured when this page was made (fused multiply-adds on registers, 50 ms, on the device's cores): " +
      `${peaks.join(", ")}. ` +
      "Layers without operations worth counting (copies, updates, the loss) have none; those that only move memory " +
      "stay far from theirs.";
  const all = steps.reduce((sum, step) => sum + step.total, 0);
  const numbers = [4, 5, 6, 7, 8, 9, 10];
  const table = tableOf(
    ["layer", "action", "stage", "device", "times", "p50", "p90", "p99", "share of compute", "FLOP/s", "of the limit"],
    numbers);
  const keys = [];
  for (const step of steps) {
    const unit = pipeline.units[step.unit];
    const rate = step.flops > 0 ? step.flops / step.total : NaN;
    const ofLimit = rate / peak[unit.device];
    const device = pipeline.devices[unit.device];
    addRow(table, numbers, [
      step.step,
      element("span", { title: kindWords[step.action] }, step.action), unit.name, device, count(step.count), seconds(step.p50),
      seconds(step.p90), seconds(step.p99), shareCell(step.total / all),
      Number.isFinite(rate) ? amount(rate, "") : "-", shareCell(ofLimit, "compute"),
    ]);
    const row = table.tBodies[0].lastElementChild;
    markNames(row, [0, 2, 3]);
    keys.push([step.step, step.action, unit.name, device, step.count, step.p50, step.p90, step.p99, step.total,
      rate || 0, ofLimit || 0]);
  }
  makeSortable(table, keys);
  document.getElementById("layers").append(table);
}

function showGraphFile() {
  const box = document.getElementById("graph-file-text");
  document.querySelector("#graph-file summary").textContent = `Graph file ${report.graph_file}`;
  if (report.changes.length > 0)
    box.append(element("p", {}, "Changed on the command line: ", element("code", {}, report.changes.join(" "))));
  box.append(element("pre", {}, report.graph_text));
}

function showMachine() {
  const facts = [...report.machine, ["command", result.command], ["version", `lenet-flow ${result.version}`],
    ["SIMD", result.simd], ["data", `${result.data.set}, ${result.data.location}`], ["seed", String(result.seed)],
    ["parameters", `sha256 ${result.parameters_sha256}`],
    ...result.devices.map((device) => [`device ${device.name}`,
      `${device.used}${device.why ? ` (${device.why})` : ""}, ${bytes(device.memory_bytes)}`])];
  document.getElementById("machine-facts").append(...facts.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value))));
}
