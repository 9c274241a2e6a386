'use strict';
// §3-11 by hand, for signatures whose R is of small order: some builds of OpenSSL refuse them, and the law takes them.
// Slow, in variable time and without secrets. Points of edwards25519 are [X, Y, Z, T], RFC 8032, section 5.1.4.
const crypto = require('node:crypto');

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a, m = P) => ((a % m) + m) % m;
function power(a, n) {
  let out = 1n;
  for (let base = mod(a); n; n >>= 1n, base = base * base % P) if (n & 1n) out = out * base % P;
  return out;
}
const inverse = (a) => power(a, P - 2n);
const D = mod(-121665n * inverse(121666n));
const ROOT = power(2n, (P - 1n) / 4n);                       // of -1
const little = (b) => BigInt(`0x${Buffer.from(b).reverse().toString('hex')}`);

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const [a, b] = [mod((y1 - x1) * (y2 - x2)), mod((y1 + x1) * (y2 + x2))];
  const [c, d] = [mod(2n * D * t1 * t2), mod(2n * z1 * z2)];
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(n, point) {
  let out = [0n, 1n, 1n, 0n];
  for (let base = point; n; n >>= 1n, base = add(base, base)) if (n & 1n) out = add(out, base);
  return out;
}

function encode([x, y, z]) {
  const [u, v] = [mod(x * inverse(z)), mod(y * inverse(z))];
  return Buffer.from((v | (u & 1n) << 255n).toString(16).padStart(64, '0'), 'hex').reverse();
}

/** The point of 32 bytes, or null. */
function decode(bytes) {
  const n = little(bytes);
  const [sign, y] = [n >> 255n, n & (2n ** 255n - 1n)];
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x - square)) x = mod(x * ROOT);
  if (y >= P || mod(x * x - square) || (!x && sign)) return null;
  if ((x & 1n) !== sign) x = mod(-x);
  return [x, y, 1n, mod(x * y)];
}

const BASE = decode(Buffer.from(`58${'66'.repeat(31)}`, 'hex'));

/** S < l, and R is the encoding of S B - k A. */
function holds(key, message, signature) {
  const [r, s] = [signature.subarray(0, 32), little(signature.subarray(32))];
  const a = decode(key);
  if (!a || s >= L) return false;
  const k = mod(little(crypto.createHash('sha512').update(Buffer.concat([r, key, message])).digest()), L);
  const minus = [mod(-a[0]), a[1], a[2], mod(-a[3])];
  return encode(add(times(s, BASE), times(k, minus))).equals(r);
}

module.exports = { holds };
