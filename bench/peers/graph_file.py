"""Reads a graph file as lenet-flow does: JSON with comments, and fields replaced as --set does."""

import json
import pathlib
import re

# A string (kept), or a comment (dropped).
STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def read(path, changes=()):
    """The file as dictionaries and lists. `changes`: (path, value) pairs, "training.batch" for example."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    graph = json.loads(STRING_OR_COMMENT.sub(lambda match: match.group(1) or " ", text))
    for where, value in changes:
        *folders, last = where.split(".")
        place = graph
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return graph
