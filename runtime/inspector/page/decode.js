// Arrays out of the page's JSON: what runtime/inspector/encoded.py wrote.

const TYPES = { f4: Float32Array, f8: Float64Array, i1: Int8Array, u2: Uint16Array, i4: Int32Array };

/** {type, shape, data} → a typed array, row by row. */
function decoded(json) {
  const text = atob(json.data);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return new TYPES[json.type](bytes.buffer);
}

/** A sparse matrix: row r has values[ends[r] … ends[r + 1]] in the columns `at`. */
function sparse(json) {
  return {
    rows: json.shape[0],
    columns: json.shape[1],
    ends: decoded(json.ends),
    at: decoded(json.at),
    values: decoded(json.values),
  };
}

/** A named value by time and token: its distinct rows, and which of them stands where. */
function table(json, tokens) {
  const rows = decoded(json.rows);
  const at = decoded(json.at);
  const size = json.rows.shape[1];
  return {
    rows,
    size,
    /** One component, or null where nothing is held. */
    get(time, token, component) {
      const row = at[time * tokens + token];
      return row < 0 ? null : rows[row * size + component];
    },
  };
}
