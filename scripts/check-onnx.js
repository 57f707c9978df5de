// SPDX-License-Identifier: MIT
// check-onnx.js: what ONNX Runtime makes of an exported model.
//
//   check-onnx.js [--ops FILE] [--bits N] MODEL.onnx [IMAGES]
//       a line an image: its class, its logits as hexadecimal floats' bits. To FILE, a
//       line an operator of the model as the runtime has optimized it, with how many
//       there are, those of both sides of each If together
//
// IMAGES: 8-bit grey IDX, perhaps gzipped. NODE_PATH says where onnxruntime-node is.
'use strict';
const fs = require('fs'), os = require('os'), path = require('path'), zlib = require('zlib');
const ort = require('onnxruntime-node');

// Fields of a protobuf message: [number, value], of a length-delimited one its bytes.
function* fields(b) {
    let at = 0;
    const varint = () => {
        let v = 0, scale = 1, byte;
        do {
            byte = b[at++];
            v += (byte & 127) * scale;
            scale *= 128;
        } while (byte > 127);
        return v;
    };
    while (at < b.length) {
        const key = varint(), field = Math.floor(key / 8), wire = key % 8;
        if (wire === 0) {
            yield [field, varint()];
        } else {
            const n = wire === 2 ? varint() : wire === 5 ? 4 : 8;
            yield [field, b.subarray(at, at + n)];
            at += n;
        }
    }
}
const all = (b, field) => [...fields(b)].filter((f) => f[0] === field).map((f) => f[1]);

function countOps(graph, counts) {
    for (const node of all(graph, 1)) {
        const op = all(node, 4)[0].toString();
        counts.set(op, (counts.get(op) || 0) + 1);
        for (const attribute of all(node, 5))
            for (const inner of all(attribute, 6))
                countOps(inner, counts);
    }
    return counts;
}

async function writeOps(model, file) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'omq-onnx-'));
    const optimized = path.join(dir, 'optimized.onnx');
    try {
        await ort.InferenceSession.create(model, { optimizedModelFilePath: optimized });
        const counts = countOps(all(fs.readFileSync(optimized), 7)[0], new Map());
        fs.writeFileSync(file, [...counts].map(([op, n]) => `${op}\t${n}\n`).join(''));
    } finally {
        fs.rmSync(dir, { recursive: true });
    }
}

function metadata(model, key) {
    for (const entry of all(fs.readFileSync(model), 14))
        if (all(entry, 1)[0].toString() === key)
            return all(entry, 2)[0].toString();
    throw new Error(`${model} has no ${key}`);
}

function readImages(file) {
    let bytes = fs.readFileSync(file);
    if (bytes[0] === 0x1f)
        bytes = zlib.gunzipSync(bytes);
    const [n, height, width] = [4, 8, 12].map((at) => bytes.readUInt32BE(at));
    return { n, height, width, pixels: bytes.subarray(16) };
}

async function printAnswers(model, file, bits) {
    const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
    const { mean: [mean], std: [std] } = JSON.parse(metadata(model, 'omq.preprocess'));
    const classes = JSON.parse(metadata(model, 'omq.classes'));
    const images = readImages(file), batch = 50;
    for (let first = 0; first < images.n; first += batch) {
        const n = Math.min(batch, images.n - first), size = images.height * images.width;
        const x = Float32Array.from(images.pixels.subarray(first * size, (first + n) * size),
            (p) => (p / 255 - mean) / std);
        const feeds = { input: new ort.Tensor('float32', x, [n, 1, images.height, images.width]) };
        if (bits !== undefined)
            feeds.bits = new ort.Tensor('int64', [BigInt(bits)], []);
        const { logits } = await session.run(feeds);
        const words = new Uint32Array(logits.data.buffer, logits.data.byteOffset, logits.size);
        for (let i = 0, c = logits.dims[1]; i < n; i++) {
            const row = logits.data.subarray(i * c, (i + 1) * c);
            const best = row.indexOf(Math.max(...row));
            const hex = [...words.subarray(i * c, (i + 1) * c)].map((w) => w.toString(16));
            console.log(`${classes.length ? classes[best] : best}\t${hex.join(' ')}`);
        }
    }
}

async function main(args) {
    let ops, bits;
    if (args[0] === '--ops')
        [, ops] = args.splice(0, 2);
    if (args[0] === '--bits')
        [, bits] = args.splice(0, 2);
    if (ops !== undefined)
        await writeOps(args[0], ops);
    if (args.length > 1)
        await printAnswers(args[0], args[1], bits);
}
main(process.argv.slice(2));
