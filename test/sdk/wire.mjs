// How values travel between the tests and a page: as JSON, and as objects with a telling key what JSON
// does not have.

// Functions and the like cannot travel; keep gives one a number to travel in its place.
export function encode(value, keep) {
  return JSON.stringify(value, (_, v) => {
    if (v instanceof Uint8Array) return { $bytes: [...v] };
    if (v instanceof Error) return { $error: { ...v, message: v.message } };
    if (typeof v === 'function') return keep && { $function: keep(v) };
    return v instanceof Object && !Array.isArray(v) ? whole(v) : v;
  });
}

// A Protobuf message inherits the defaults of what was not sent.
function whole(object) {
  const all = {};
  for (const key in object) all[key] = object[key];
  return all;
}

// What has a number is exchanged for what the other side calls by it: a thing of this side, or a function
// that asks the other one.
export function decode(text, { thing, call } = {}) {
  return JSON.parse(text, (_, v) => {
    if (v?.$bytes) return Uint8Array.from(v.$bytes);
    if (v?.$error) return Object.assign(new Error(v.$error.message), v.$error);
    if (v?.$function) return (...args) => call(v.$function, args);
    if (v?.$thing) return thing(v.$thing);
    return v;
  });
}
