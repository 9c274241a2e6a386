'use strict';
// §5.1: canonical msgpack of arrays, unsigned integers, bin, str, booleans and nil.
// Integers are Numbers up to 2^53-1 and BigInts above.
const { refuse } = require('./errors');

const DEPTH = 16;     // §5.1-5: a bound; no message nests deeper than 8
const TEXT = 32;      // §5.1-3
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function head(tag, size, value) {
  const out = Buffer.alloc(1 + size);
  out[0] = tag;
  if (size === 8) out.writeBigUInt64BE(BigInt(value), 1);
  else out.writeUIntBE(value, 1, size);
  return out;
}

/** §5.1-1: the one shortest form. */
function pack(value) {
  const parts = [];
  const put = (v) => {
    if (v === null) parts.push(Buffer.from([0xc0]));
    else if (typeof v === 'boolean') parts.push(Buffer.from([v ? 0xc3 : 0xc2]));
    else if (typeof v === 'number' || typeof v === 'bigint') {
      if (v < 0 || (typeof v === 'number' && !Number.isSafeInteger(v))) throw new RangeError('not an unsigned integer');
      if (v < 0x80) parts.push(Buffer.from([Number(v)]));
      else if (v <= 0xff) parts.push(head(0xcc, 1, Number(v)));
      else if (v <= 0xffff) parts.push(head(0xcd, 2, Number(v)));
      else if (v <= 0xffffffff) parts.push(head(0xce, 4, Number(v)));
      else parts.push(head(0xcf, 8, v));
    } else if (Buffer.isBuffer(v)) {
      const n = v.length;
      parts.push(n <= 0xff ? head(0xc4, 1, n) : n <= 0xffff ? head(0xc5, 2, n) : head(0xc6, 4, n), v);
    } else if (typeof v === 'string') {
      const b = Buffer.from(v, 'utf8');
      const n = b.length;
      parts.push(n < 32 ? Buffer.from([0xa0 | n]) : n <= 0xff ? head(0xd9, 1, n) : n <= 0xffff ? head(0xda, 2, n)
        : head(0xdb, 4, n), b);
    } else if (Array.isArray(v)) {
      const n = v.length;
      parts.push(n < 16 ? Buffer.from([0x90 | n]) : n <= 0xffff ? head(0xdc, 2, n) : head(0xdd, 4, n));
      v.forEach(put);
    } else throw new TypeError('not a value of §5.1-1');
  };
  put(value);
  return Buffer.concat(parts);
}

/** §5.1-3 to §5.1-5: strict reading. `items` bounds every array before it is read. */
function unpack(bytes, items) {
  let at = 0;
  const take = (n) => {
    if (n > bytes.length - at) refuse('MALFORMED', 'truncated');
    at += n;
    return bytes.subarray(at - n, at);
  };
  const uint = (n) => {
    const b = take(n);
    if (n < 8) return b.readUIntBE(0, n);
    const big = b.readBigUInt64BE();
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  };
  const signed = (n) => {                     // a positive one is only the wrong form of an integer
    const v = uint(n);
    if (BigInt(v) >> BigInt(8 * n - 1)) refuse('MALFORMED', 'negative integer');
    return v;
  };
  const text = (n) => {
    if (n > TEXT) refuse('MALFORMED', 'long text');
    try { return utf8.decode(take(n)); } catch (e) { return refuse('MALFORMED', 'not UTF-8'); }
  };
  const array = (n, depth) => {
    if (n > items || n > bytes.length - at) refuse('MALFORMED', 'long array');
    if (depth >= DEPTH) refuse('MALFORMED', 'deep');
    const out = [];
    for (let i = 0; i < n; i++) out.push(value(depth + 1));
    return out;
  };
  const value = (depth) => {
    const tag = take(1)[0];
    if (tag < 0x80) return tag;
    if (tag >= 0x90 && tag < 0xa0) return array(tag & 15, depth);
    if (tag >= 0xa0 && tag < 0xc0) return text(tag & 31);
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return take(uint(1));
      case 0xc5: return take(uint(2));
      case 0xc6: return take(uint(4));
      case 0xcc: return uint(1);
      case 0xcd: return uint(2);
      case 0xce: return uint(4);
      case 0xcf: return uint(8);
      case 0xd0: return signed(1);
      case 0xd1: return signed(2);
      case 0xd2: return signed(4);
      case 0xd3: return signed(8);
      case 0xd9: return text(uint(1));
      case 0xda: return text(uint(2));
      case 0xdb: return text(uint(4));
      case 0xdc: return array(uint(2), depth);
      case 0xdd: return array(uint(4), depth);
      default: return refuse('MALFORMED', 'map, extension, float or negative integer');
    }
  };
  const out = value(0);
  if (at !== bytes.length) refuse('MALFORMED', 'trailing bytes');
  return out;
}

module.exports = { pack, unpack };
