#!/usr/bin/env python3
"""Opens the report of a real run in headless Chromium and looks whether the page is what it should be.

usage: report_page_test.py PROGRAM SOURCE [--pictures FOLDER]

Needs Chromium (Debian: chromium), playwright (PyPI) and MNIST (LENET_FLOW_DATA); without one of them it is skipped (exit
code 77). Prints what it measured; with --pictures also leaves pictures of the page in light, dark and print.
"""

import argparse
import json
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

SKIPPED = 77
SMOOTH = 250  # milliseconds a frame may take: a page that draws what nobody sees takes seconds; 16.7 is what one wants


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


try:
    from playwright.sync_api import sync_playwright
except ImportError:
    skip("there is no playwright (PyPI) here")

failures = []


def check(holds, what):
    print(("ok      " if holds else "FAILED  ") + what)
    if not holds:
        failures.append(what)


def make_report(program, source, folder, graph, *options):
    """Runs a graph and returns its report's path."""
    report = folder / f"{graph}.html"
    command = [program, "run", str(source / "graphs" / f"{graph}.json"), "--quiet", "--report", str(report), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        skip(done.stderr.strip())
    check(done.returncode == 0, f"{graph}: the run succeeds {done.stderr.strip()}")
    return report


class Page:
    """A page in a browser, with all it says and asks for."""

    def __init__(self, browser, path, **options):
        self.page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        self.said, self.asked = [], []
        # Chromium wants this test's own reading of pixels to be announced.
        self.page.on("console", lambda message: "getImageData" in message.text or self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"file://{path}")
        self.page.wait_for_timeout(200)
        self.address = f"file://{path}"

    def run(self, script):
        return self.page.evaluate(script)

    def settle(self):
        """Until the next frame is drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def shown(self):
        return tuple(float(self.run(f"document.getElementById('timeline').dataset.{end}")) for end in ("from", "to"))

    def press(self, key):
        self.page.press("#timeline", key)
        self.settle()

    def silent(self, name):
        check(self.said == [], f"{name}: nothing on the console {self.said}")
        others = [url for url in self.asked if url != self.address and not url.startswith("data:")]
        check(others == [], f"{name}: nothing is fetched {others}")


def check_content(page, name):
    """What the page says against the data that it holds."""
    data = json.loads(page.run("document.getElementById('report-data').textContent"))
    result, pipeline = data["result"], data["pipeline"]
    rows = page.page.locator("#stalls tr[data-row=unit]")
    check(rows.count() == len(result["stages"]), f"{name}: a row of stalls for each of {len(result['stages'])} units")
    check(page.page.locator("#stalls tr[data-row=device]").count() == len(pipeline["devices"]),
          f"{name}: and one for each device")
    sums = page.run("""[...document.querySelectorAll('#stalls .bar')].map((bar) =>
        [...bar.children].reduce((sum, part) => sum + parseFloat(part.style.width), 0))""")
    check(all(abs(total - 100) < 0.01 for total in sums), f"{name}: bars add up to 100% {sums}")
    widths = page.run("""[...document.querySelectorAll('#stalls .bar')].map((bar) =>
        [...bar.children].reduce((sum, part) => sum + part.getBoundingClientRect().width, 0) -
        bar.getBoundingClientRect().width)""")
    check(all(abs(rest) < 1 for rest in widths), f"{name}: bars are drawn as wide as that")
    texts = page.run("""[...document.querySelectorAll('#stalls tbody tr')].map((row) =>
        [...row.querySelectorAll('td.number')].reduce((sum, cell) => sum + parseFloat(cell.textContent), 0))""")
    check(all(abs(total - 100) < 0.7 for total in texts), f"{name}: their numbers too {texts}")
    shares = [stage["seconds"]["compute"] / sum(stage["seconds"].values()) for stage in result["stages"]]
    said = page.run("""[...document.querySelectorAll('#stalls tr[data-row=unit]')].map((row) =>
        parseFloat(row.querySelector('[data-state=compute]').style.width))""")
    check(all(abs(100 * share - shown) < 0.01 for share, shown in zip(shares, said)),
          f"{name}: compute is what the result says")
    check(page.page.locator("#graph g[data-stage]").count() == len(pipeline["stages"]), f"{name}: stages in the graph")
    check(page.page.locator("#layers tbody tr").count() == len(result["steps"]), f"{name}: a row for each layer's action")
    check(page.page.inner_text("#closing-line") == result["diagnosis"]["line"], f"{name}: the closing line is on top")
    shown = page.page.inner_text("#figures").replace(",", "")
    check(str(round(result["images_per_second"])) in shown, f"{name}: images a second")
    check(page.run("document.documentElement.scrollWidth <= window.innerWidth"), f"{name}: no wider than the window")
    check(page.run("""[...document.querySelectorAll('svg text, h1, h2, td, th, button, dt, dd')].every((shown) =>
        shown.textContent === '' || getComputedStyle(shown).visibility === 'visible')"""), f"{name}: texts are visible")


def check_timeline(page, name):
    """Keyboard, wheel, drag, click."""
    page.page.focus("#timeline")
    outline = page.run("getComputedStyle(document.getElementById('timeline')).outlineStyle")
    check(outline != "none", f"{name}: the focus is visible")
    check(page.page.get_attribute("#timeline", "aria-labelledby") is not None, f"{name}: the timeline has a name")
    begin = page.shown()
    page.press("+")
    closer = page.shown()
    check(closer[1] - closer[0] < 0.8 * (begin[1] - begin[0]), f"{name}: + shows less")
    page.press("ArrowRight")
    check(page.shown()[0] > closer[0], f"{name}: the arrow moves to the right")
    page.press("0")
    everything = page.shown()
    check(everything[0] == 0 and everything[1] > begin[1], f"{name}: 0 shows all")
    page.press("End")
    page.press("-")
    check(page.shown() == everything, f"{name}: there is no more than all")

    box = page.page.locator("#timeline").bounding_box()
    page.page.mouse.move(box["x"] + 700, box["y"] + 60)
    for _ in range(12):
        page.page.mouse.wheel(0, -400)
        page.settle()
    near = page.shown()
    check(near[1] - near[0] < 0.1 * everything[1], f"{name}: the wheel zooms")
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 500, box["y"] + 60, steps=4)
    page.page.mouse.up()
    page.settle()
    check(page.shown()[0] > near[0], f"{name}: dragging to the left moves on")
    check(page.run("timeline.picked") == -1, f"{name}: a drag is no click")
    check_picking(page, name, box)


def check_picking(page, name, box):
    """A click on an action picks its micro-batch."""
    page.run("timeline.show(passes[passes.length - 1])")
    page.settle()
    before = page.page.screenshot(clip=box | {"x": box["x"] + 180, "width": box["width"] - 200})
    x, y = page.run("""(() => {
        const row = timeline.rows.find((candidate) => candidate instanceof DeviceRow);
        const view = timeline.view();
        const i = row.actions.findIndex(([trace, action]) => trace.kind[action] !== update && trace.begin[action] >= view.from);
        const middle = (row.stretches.begin[i] + row.stretches.end[i]) / 2;
        return [view.left + (middle - view.from) * view.scale, row.y + row.height / 2];
    })()""")
    page.page.mouse.move(box["x"] + x, box["y"] + y)
    page.settle()
    tooltip = page.page.inner_text("#tooltip")
    check("micro-batch" in tooltip and "s" in tooltip, f"{name}: the tooltip tells of the action: {tooltip.splitlines()[0]}")
    page.page.mouse.click(box["x"] + x, box["y"] + y)
    page.settle()
    picked = page.run("timeline.picked")
    check(picked >= 0, f"{name}: a click picks a micro-batch")
    check(page.page.is_visible("#path"), f"{name}: its path is there as a table")
    units = page.run("new Set(timeline.path().map(({ trace }) => trace.number)).size")
    stages = page.run("pipeline.stages.length")
    check(units == stages, f"{name}: the path goes through all {stages} stages")
    check(page.page.locator("#path tbody tr").count() == page.run("timeline.path().length"), f"{name}: and all its actions")
    after = page.page.screenshot(clip=box | {"x": box["x"] + 180, "width": box["width"] - 200})
    check(before != after, f"{name}: the path is drawn")
    page.press("n")
    check(page.run("timeline.picked") == picked + 1, f"{name}: n picks the next one")
    page.press("Escape")
    check(page.run("timeline.picked") == -1 and not page.page.is_visible("#path"), f"{name}: Esc lets it go")


def brightness(colour):
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


def check_colours(browser, path, name):
    """Light, dark and print; the same report in each."""
    found = {}
    for scheme in ("light", "dark"):
        page = Page(browser, path, color_scheme=scheme)
        style = page.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        found[scheme] = [brightness(colour) for colour in style]
        corner = page.run("[...timeline.context.getImageData(3, 3, 1, 1).data].slice(0, 3).join()")
        check(abs(brightness(corner) - found[scheme][0]) < 3, f"{name}: the canvas is {scheme} too")
        if scheme == "dark":
            page.page.emulate_media(media="print", color_scheme="dark")
            page.settle()
            corner = page.run("[...timeline.context.getImageData(3, 3, 1, 1).data].slice(0, 3).join()")
            check(brightness(corner) > 240, f"{name}: print is light")
            check(not page.page.is_visible("#timeline-controls"), f"{name}: print has no buttons")
        page.silent(f"{name}, {scheme}")
        page.page.close()
    check(found["light"][0] > 240 and found["light"][1] < 80, f"{name}: light is light {found['light']}")
    check(found["dark"][0] < 60 and found["dark"][1] > 180, f"{name}: dark is dark {found['dark']}")


def with_many_actions(path, actions):
    """The report with made-up columns in the place of its timeline: `actions` actions, four states before each."""
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(r'(<script type="application/json" id="timeline-data">)(.*?)(</script>)', re.S)
    timeline = json.loads(pattern.search(text).group(2))
    units = len(timeline["passes"][0]["units"])
    dice = random.Random(1)
    each = actions // units
    length = 0
    columns = []
    for unit in range(units):
        of = {key: [] for key in ("kind", "micro_batch", "batch", "begin", "end", "input_from", "room_from", "steps",
                                  "state", "until", "action")}
        now = 0.0
        report = json.loads(re.search(r'id="report-data">(.*?)</script>', text, re.S).group(1))
        steps = [len(names) for names in report["pipeline"]["units"][unit]["steps"]]
        for action in range(each):
            kind = 0 if action % 2 == 0 else 3
            for state in (5, 4, 3, 7):
                now += dice.uniform(0.2, 20)
                of["state"].append(state), of["until"].append(round(now, 1)), of["action"].append(action)
            of["begin"].append(round(now, 1))
            now += dice.uniform(5, 100)
            of["state"].append(0), of["until"].append(round(now, 1)), of["action"].append(action)
            of["end"].append(round(now, 1)), of["kind"].append(kind), of["micro_batch"].append(action // 2)
            of["batch"].append(action // 8), of["input_from"].append(-1), of["room_from"].append(-1)
            of["steps"].extend([1.0] * steps[kind])
        length = max(length, now)
        columns.append(of)
    timeline["passes"] = [timeline["passes"][0] | {
        "units": columns, "actions": each * units, "length": round(length, 1), "micro_batches": each // 2,
        "batches": each // 8, "per_batch": 4, "whole": True}]
    made = path.with_name("many.html")
    body = json.dumps(timeline, separators=(",", ":"))
    made.write_text(pattern.sub(lambda match: match.group(1) + body + match.group(3), text), encoding="utf-8")
    return made


def check_smoothness(browser, path, actions):
    """How long a frame takes while one pans over many actions, at several zooms."""
    made = with_many_actions(path, actions)
    page = Page(browser, made)
    check(page.run("timeline.pass.actions") >= actions - 8, f"{actions} actions are loaded")
    for share in (1, 0.5, 0.1, 0.01, 0.001):
        times = page.run(f"""(async () => {{
            const span = timeline.pass.end * {share};
            const times = [];
            for (let i = 0; i < 40; ++i) {{
                const from = (timeline.pass.end - span) * i / 40;
                timeline.look(from, from + span * 0.999);
                const begin = performance.now();
                timeline.draw();
                timeline.context.getImageData(0, 0, 1, 1);
                times.push(performance.now() - begin);
                await new Promise(requestAnimationFrame);
            }}
            return times;
        }})()""")
        # What others do on the machine comes on top of what a frame takes: the quicker quarter is held against the limit.
        quarter, middle, _ = statistics.quantiles(times, n=4)
        check(quarter < SMOOTH, f"{actions} actions, {share:.1%} of them shown: a frame takes {middle:.1f} ms, "
                                f"a quarter of them under {quarter:.1f} ms")
    page.silent("many actions")
    page.page.close()


def take_pictures(browser, path, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page = Page(browser, path, color_scheme=scheme)
        page.page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
        top = page.page.locator("#stalls-legend").bounding_box()
        page.page.screenshot(path=folder / f"{name}-{scheme}-top.png", full_page=True,
                             clip={"x": 0, "y": 0, "width": 1280, "height": top["y"] + top["height"] + 10})
        page.run("timeline.pick(timeline.firstShown() + 1, true)")
        page.settle()
        page.page.locator("#timeline-section").screenshot(path=folder / f"{name}-{scheme}-path.png")
        page.page.close()
    page = Page(browser, path)
    page.page.pdf(path=folder / f"{name}.pdf", print_background=False)
    page.page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        skip("there is no Chromium here (Debian: chromium)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        two = make_report(arguments.program, arguments.source, folder, "lenet5_two_cores", "--epochs", "2", "--limit", "4096")
        one = make_report(arguments.program, arguments.source, folder, "lenet5", "--epochs", "1", "--limit", "1024")
        four = make_report(arguments.program, arguments.source, folder, "lenet5_four_stages", "--epochs", "1", "--limit",
                           "512", "--set", "pipeline.schedule=zero_bubble_h1")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path, name in ((two, "two stages"), (one, "one stage"), (four, "four stages")):
            page = Page(browser, path)
            check_content(page, name)
            check_timeline(page, name)
            page.silent(name)
            page.page.close()
        check_colours(browser, two, "two stages")
        check_smoothness(browser, two, 50_000)
        if arguments.pictures:
            take_pictures(browser, two, arguments.pictures.absolute(), "two_stages")
            take_pictures(browser, one, arguments.pictures.absolute(), "one_stage")
            take_pictures(browser, four, arguments.pictures.absolute(), "four_stages")
        browser.close()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
