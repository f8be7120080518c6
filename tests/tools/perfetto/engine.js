// Perfetto's trace processor as a filter: runs the WebAssembly build that a Perfetto UI ships (its engine_bundle.js and
// trace_processor*.wasm; argument: their folder) in Node instead of a browser's worker. Requests on standard input and
// replies on standard output are TraceProcessorRpcStream messages, each after its length as 32 bits, little-endian.
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const node = process;
const folder = node.argv[2];
globalThis.process = undefined;  // the bundle refuses to work where it finds Node

// What the bundle expects of a worker.
globalThis.self = globalThis;
globalThis.location = {href: 'http://localhost/'};
globalThis.importScripts = () => {};
globalThis.WorkerGlobalScope = class {};
globalThis.XMLHttpRequest = class {
  open(method, address) { this.file = path.join(folder, path.basename(address)); }
  send() { this.response = new Uint8Array(fs.readFileSync(this.file)).buffer; }
};
console.log = console.warn = console.info = (...text) => node.stderr.write(text.join(' ') + '\n');
const write = (bytes) => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  fs.writeSync(1, length);
  for (let done = 0; done < bytes.length;) done += fs.writeSync(1, bytes, done);
};

const port = {postMessage: (bytes) => write(Buffer.from(bytes)), onmessage: null};
vm.runInThisContext(fs.readFileSync(path.join(folder, 'engine_bundle.js'), 'utf8'), 'engine_bundle.js');
globalThis.onmessage({data: port});

let pending = Buffer.alloc(0);
node.stdin.on('data', (bytes) => {
  pending = Buffer.concat([pending, bytes]);
  while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
    const length = pending.readUInt32LE(0);
    port.onmessage({data: new Uint8Array(pending.subarray(4, 4 + length))});
    pending = pending.subarray(4 + length);
  }
});
