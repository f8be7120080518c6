#!/usr/bin/env python3
"""Puts the report's HTML, CSS and JavaScript into one page and writes it as a C++ function.

usage: embed.py OUTPUT.cpp report.html report.css SCRIPT.js ...

The page has two marks, {{style}} and {{script}}, each on a line of its own; the scripts follow one another in the order given.
"""

import pathlib
import sys

DELIMITER = "report"
# Compilers have to take 65,536 characters in one literal (C++20, annex B).
LONGEST = 60_000


def literals(text):
    """The text as raw string literals, one after the other."""
    if f"){DELIMITER}\"" in text:
        sys.exit(f"embed.py: the page must not contain ){DELIMITER}\"")
    pieces = [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)]
    return "\n".join(f'R"{DELIMITER}({piece}){DELIMITER}"' for piece in pieces)


def main(output, html, css, *scripts):
    def read(path):
        return pathlib.Path(path).read_text(encoding="utf-8")

    page = read(html)
    script = "\n".join(read(path) for path in scripts)
    for mark, text in (("{{style}}", read(css)), ("{{script}}", script)):
        if page.count(mark) != 1:
            sys.exit(f"embed.py: {html} must have {mark} once")
        if "</" in text:
            sys.exit(f"embed.py: what goes into {mark} must not contain </")
        page = page.replace(mark, text)
    pathlib.Path(output).write_text(
        '#include "engine/trace/report/report_template.h"\n\n'
        "// Written by engine/trace/report/page/embed.py.\n\n"
        "namespace lenet_flow {\n\n"
        f"const char* report_template() {{\n  return\n{literals(page)};\n}}\n\n"
        "}  // namespace lenet_flow\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
