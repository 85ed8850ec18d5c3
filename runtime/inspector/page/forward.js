// The forward pass: the weights run in the page, with sums in float64.
//
// before   what live.py wrote, features [tokens, features], heads that are cut
// after    the stream after every sublayer, each head's shares of attention, the output
//
// The arithmetic is that of artifact/reference: GPT-2 and Llama blocks, linear attention, blocks without a norm.

function network(json) {
  const norm = (part) => part && { gain: decoded(part.gain), bias: decoded(part.bias) };
  const maybe = (part) => part && sparse(part);
  const sublayer = (part) => {
    if (part === null) return null;
    const shared = { kind: part.kind, norm: norm(part.norm), bias: decoded(part.bias), outBias: decoded(part.out_bias) };
    if (part.kind === "mlp") {
      return { ...shared, up: sparse(part.up), gate: maybe(part.gate), down: sparse(part.down) };
    }
    const turn = part.rotary;
    const rotary = turn && { low: turn.low, high: turn.high, cos: decoded(turn.cos), sin: decoded(turn.sin) };
    const { heads } = part;
    return { ...shared, project: sparse(part.project), heads, rotary, output: sparse(part.output), count: maybe(part.count) };
  };
  return {
    ...json,
    features: decoded(json.features),
    embedding: sparse(json.embedding),
    positions: decoded(json.positions),
    stored: json.stored.map(sublayer),
    finalNorm: norm(json.final_norm),
    readout: sparse(json.readout),
    readoutBias: decoded(json.readout_bias),
    layout: json.layout.map((placed) => ({ ...placed, matrix: sparse(placed.matrix) })),
  };
}

/** Row r of a sparse matrix times x, which begins at `from`. */
function dot(matrix, r, x, from) {
  const { ends, at, values } = matrix;
  let sum = 0;
  for (let k = ends[r]; k < ends[r + 1]; k++) sum += values[k] * x[from + at[k]];
  return sum;
}

/** to[from …] += scale · row r of a sparse matrix. */
function add(matrix, r, scale, to, from) {
  const { ends, at, values } = matrix;
  for (let k = ends[r]; k < ends[r + 1]; k++) to[from + at[k]] += scale * values[k];
}

// Beyond these ends the formulas give exactly 0 and x in float64; most neurons are closed, and need no exponential.
const SLOPE = -2 * Math.sqrt(2 / Math.PI);
const ACTIVATIONS = {
  gelu_tanh: (x) => (x < -21 ? 0 : x > 21 ? x : x / (1 + Math.exp(SLOPE * (x + 0.044715 * x * x * x)))),
  silu: (x) => (x < -746 ? 0 : x > 40 ? x : x / (1 + Math.exp(-x))),
};

/** The mean of a token's slots: those eight apart first, so that constants +C and −C cancel before anything is added,
 * and the total rounded at the size of the largest (arithmetic.py): of a balanced stream exactly 0. */
function meanOf(x, start, width) {
  let total = 0;
  let largest = 0;
  const paired = width - (width % 16);
  for (let k = 0; k < width; k++) {
    if (k >= paired) total += x[start + k];
    else if (k % 16 < 8) total += x[start + k] + x[start + k + 8];
    largest = Math.max(largest, Math.abs(x[start + k]));
  }
  return (total + largest - largest) / width;
}

/** Every token's slots under a norm: LayerNorm, RMSNorm, or as they are. Sums of squares are rounded to the precision of
 * the weights: there the norm's constants swallow all others, and the norm is what they say, exactly. */
function normed(net, norm, x) {
  if (!norm) return x;
  const { width } = net;
  const rounded = net.dtype === "float32" ? Math.fround : (number) => number;
  const found = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const mean = net.norm === "rmsnorm" ? 0 : meanOf(x, start, width);
    let square = 0;
    for (let k = 0; k < width; k++) square += (x[start + k] - mean) ** 2;
    const deviation = Math.sqrt(rounded(rounded(square) / width + net.epsilon));
    for (let k = 0; k < width; k++) {
      found[start + k] = ((x[start + k] - mean) / deviation) * norm.gain[k] + (net.norm === "rmsnorm" ? 0 : norm.bias[k]);
    }
  }
  return found;
}

/** [tokens, width] → [width, tokens]: what is done for one slot is done for all tokens side by side. */
function turnedOver(x, width) {
  const tokens = x.length / width;
  const found = new Float64Array(x.length);
  for (let t = 0; t < tokens; t++) for (let k = 0; k < width; k++) found[k * tokens + t] = x[t * width + k];
  return found;
}

/** Row r of a sparse matrix times x [columns, tokens], plus a number, into `sums` [tokens]. */
function dots(matrix, r, x, start, sums) {
  const { ends, at, values } = matrix;
  const tokens = sums.length;
  sums.fill(start);
  for (let k = ends[r]; k < ends[r + 1]; k++) {
    const from = at[k] * tokens;
    const weight = values[k];
    for (let t = 0; t < tokens; t++) sums[t] += weight * x[from + t];
  }
}

function neurons(net, part, x, stream) {
  const { width } = net;
  const activation = ACTIVATIONS[net.activation];
  const tokens = x.length / width;
  const over = turnedOver(x, width);
  const written = new Float64Array(x.length);
  const hidden = new Float64Array(tokens);
  const gates = new Float64Array(tokens);
  const { ends, at, values } = part.down;
  for (let n = 0; n < part.up.rows; n++) {
    dots(part.up, n, over, part.bias[n], hidden);
    if (part.gate) dots(part.gate, n, over, 0, gates);
    for (let t = 0; t < tokens; t++) hidden[t] = part.gate ? activation(gates[t]) * hidden[t] : activation(hidden[t]);
    for (let k = ends[n]; k < ends[n + 1]; k++) {
      const to = at[k] * tokens;
      for (let t = 0; t < tokens; t++) written[to + t] += values[k] * hidden[t];
    }
  }
  for (let t = 0; t < tokens; t++) {
    for (let k = 0; k < width; k++) stream[t * width + k] += written[k * tokens + t] + part.outBias[k];
  }
}

/** Queries, keys and values of every token [tokens, rows], turned where positions are rotary. */
function projected(net, part, x, tokens) {
  const { rows } = part.project;
  const found = new Float64Array(tokens * rows);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) found[t * rows + r] = dot(part.project, r, x, t * net.width) + part.bias[r];
    if (!part.rotary) continue;
    const { low, high, cos, sin } = part.rotary;
    for (let k = 0; k < low.length; k++) {
      const i = t * rows + low[k];
      const j = t * rows + high[k];
      const c = cos[t * low.length + k];
      const s = sin[t * low.length + k];
      const [a, b] = [found[i], found[j]];
      found[i] = a * c - b * s;
      found[j] = b * c + a * s;
    }
  }
  return found;
}

/** A head's shares [tokens, tokens], the reader's row by row. */
function sharesOf(net, part, head, rows, x, tokens) {
  const wide = part.project.rows;
  const shares = new Float64Array(tokens * tokens);
  const linear = part.kind === "linear";
  const last = linear ? tokens - net.unread : tokens;
  const size = head.query[1] - head.query[0];
  for (let t = 0; t < tokens; t++) {
    const end = Math.min(last, net.causal ? t + 1 : tokens);
    let most = -Infinity;
    for (let s = 0; s < end; s++) {
      let score = 0;
      for (let k = 0; k < size; k++) score += rows[t * wide + head.query[0] + k] * rows[s * wide + head.key[k]];
      if (!linear) score /= Math.sqrt(net.d_head);
      shares[t * tokens + s] = score;
      most = Math.max(most, score);
    }
    let total = 0;
    for (let s = 0; s < end; s++) {
      const at = t * tokens + s;
      if (linear) total += dot(part.count, head.number, x, s * net.width);
      else total += shares[at] = Math.exp(shares[at] - most);
    }
    if (total === 0) total = 1;
    for (let s = 0; s < end; s++) shares[t * tokens + s] /= total;
  }
  return shares;
}

function attention(net, part, x, stream, isCut) {
  const tokens = x.length / net.width;
  const wide = part.project.rows;
  const rows = projected(net, part, x, tokens);
  const maps = [];
  for (const head of part.heads) {
    const shares = sharesOf(net, part, head, rows, x, tokens);
    maps.push({ number: head.number, shares });
    if (isCut(head.number)) continue;
    for (let t = 0; t < tokens; t++) {
      for (let k = 0; k < head.value.length; k++) {
        let mixed = 0;
        for (let s = 0; s < tokens; s++) mixed += shares[t * tokens + s] * rows[s * wide + head.value[k]];
        add(part.output, head.out[0] + k, mixed, stream, t * net.width);
      }
    }
  }
  for (let t = 0; t < tokens; t++) {
    for (let k = 0; k < net.width; k++) stream[t * net.width + k] += part.outBias[k];
  }
  return maps;
}

/** `cut`: a set of "stored sublayer:head". The stream [tokens · width] at every time, maps by time, output by token. */
function forward(net, features, cut) {
  const wide = net.embedding.columns;
  const tokens = features.length / wide;
  let stream = new Float64Array(tokens * net.width);
  for (let t = 0; t < tokens; t++) {
    for (let k = 0; k < net.width; k++) {
      stream[t * net.width + k] = dot(net.embedding, k, features, t * wide) + net.positions[t * net.width + k];
    }
  }
  const streams = [stream];
  const maps = [[]];
  for (const number of net.order) {
    const part = net.stored[number];
    stream = stream.slice();
    let found = [];
    if (part !== null) {
      const x = normed(net, part.norm, streams[streams.length - 1]);
      if (part.kind === "mlp") neurons(net, part, x, stream);
      else found = attention(net, part, x, stream, (head) => cut.has(`${number}:${head}`));
    }
    streams.push(stream);
    maps.push(found);
  }
  const last = normed(net, net.finalNorm, stream);
  const output = [];
  for (let t = 0; t < tokens; t++) {
    output.push(Array.from({ length: net.readout.rows }, (_, r) => dot(net.readout, r, last, t * net.width) + net.readoutBias[r]));
  }
  return { streams, maps, output };
}
