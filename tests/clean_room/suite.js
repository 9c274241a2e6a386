'use strict';
// §3: the two suites. node:crypto does all primitives; what it lacks is said where it is made up for.
const crypto = require('node:crypto');
const edwards = require('./edwards');
const { refuse } = require('./errors');

const H = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const hkdf = (secret, salt, info, n) => Buffer.from(crypto.hkdfSync('sha256', secret, salt, Buffer.from(info), n));
const b64 = (b) => b.toString('base64url');
const num = (b) => BigInt('0x' + b.toString('hex'));
const bytes32 = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');

function aead(name) {
  const options = { authTagLength: 16 };      // §6-2: no associated data
  return {
    seal(key, nonce, plain) {
      const c = crypto.createCipheriv(name, key, nonce, options);
      return Buffer.concat([c.update(plain), c.final(), c.getAuthTag()]);
    },
    open(key, nonce, frame) {
      if (frame.length < 16) refuse('BAD_SEAL');
      try {
        const d = crypto.createDecipheriv(name, key, nonce, options);
        d.setAuthTag(frame.subarray(frame.length - 16));
        return Buffer.concat([d.update(frame.subarray(0, frame.length - 16)), d.final()]);
      } catch (e) { return refuse('BAD_SEAL'); }
    },
  };
}

// ---- suite 1 ---------------------------------------------------------------------------------------------------

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const mod = (a, m) => ((a % m) + m) % m;
function inverse(a, m) {
  let [r0, r1, s0, s1] = [mod(a, m), m, 1n, 0n];
  while (r1) { const q = r0 / r1; [r0, r1, s0, s1] = [r1, r0 - q * r1, s1, s0 - q * s1]; }
  return mod(s0, m);
}

/** k times the generator, as [x, y]; k is not 0 modulo n. */
function base(k) {
  const dh = crypto.createECDH('prime256v1');
  dh.setPrivateKey(bytes32(k));
  const q = dh.getPublicKey();
  return [num(q.subarray(1, 33)), num(q.subarray(33))];
}

function add([x1, y1], [x2, y2]) {
  if (x1 === x2 && mod(y1 + y2, P) === 0n) return null;        // infinity
  const slope = x1 === x2 ? 3n * (x1 * x1 - 1n) * inverse(2n * y1, P) : (y2 - y1) * inverse(x2 - x1, P);
  const x = mod(slope * slope - x1 - x2, P);
  return [x, mod(slope * (x1 - x) - y1, P)];
}

/** §3-5: a compressed key as [x, y], or BAD_KEY. */
function point(key) {
  if (key.length !== 33 || (key[0] !== 2 && key[0] !== 3) || num(key.subarray(1)) >= P) refuse('BAD_KEY');
  try {
    const full = crypto.ECDH.convertKey(key, 'prime256v1', undefined, undefined, 'uncompressed');
    return [num(full.subarray(1, 33)), num(full.subarray(33))];
  } catch (e) { return refuse('BAD_KEY'); }
}

const p256 = {
  number: 1,
  name: 'p256',
  keyLength: 33,
  sealKey: 16,
  ...aead('aes-128-ccm'),
  checkKey: (key) => { point(key); },
  publicKey(d) {
    const dh = crypto.createECDH('prime256v1');
    dh.setPrivateKey(d);
    return dh.getPublicKey(undefined, 'compressed');
  },
  newPrivate() {
    const dh = crypto.createECDH('prime256v1');
    dh.generateKeys();
    return bytes32(num(dh.getPrivateKey()));
  },
  /** §3-4 signs the digest itself, which node:crypto cannot: s is computed here. §3-7: low s. */
  sign(d, digest) {
    for (;;) {
      const k = num(this.newPrivate());
      const r = mod(base(k)[0], N);
      let s = mod(inverse(k, N) * (num(digest) + r * num(d)), N);
      if (!r || !s) continue;
      if (s > N / 2n) s = N - s;
      return Buffer.concat([bytes32(r), bytes32(s)]);
    }
  },
  /**
   * node:crypto verifies z' = SHA-256(m) only, not a digest z. But (r, s) is valid for z under Q iff it is valid for
   * z' under Q' = Q + ((z - z') / r) G, since z G + r Q = z' G + r Q'.
   */
  verify(key, digest, signature) {
    const q = point(key);
    if (signature.length !== 64) refuse('BAD_SIGNATURE');
    const [r, s] = [num(signature.subarray(0, 32)), num(signature.subarray(32))];
    if (r < 1n || r >= N || s < 1n || s > N / 2n) refuse('BAD_SIGNATURE');     // §3-6
    let other = null;
    let message = digest;
    for (let i = 0; !other; i++) {                            // again only where Q' is infinity
      if (i) message = Buffer.concat([digest, Buffer.from([i])]);
      const k = mod((num(digest) - num(H(message))) * inverse(r, N), N);
      other = k ? add(q, base(k)) : q;
    }
    const jwk = { kty: 'EC', crv: 'P-256', x: b64(bytes32(other[0])), y: b64(bytes32(other[1])) };
    const public_ = crypto.createPublicKey({ key: jwk, format: 'jwk' });
    if (!crypto.verify('sha256', message, { key: public_, dsaEncoding: 'ieee-p1363' }, signature)) {
      refuse('BAD_SIGNATURE');
    }
  },
  ephemeralPublic(d) { return this.publicKey(d); },
  agree(d, peer) {                                            // §3-9, §3-13
    point(peer);
    if (peer.equals(this.publicKey(d))) refuse('BAD_KEY', 'reflected');
    const dh = crypto.createECDH('prime256v1');
    dh.setPrivateKey(d);
    const secret = dh.computeSecret(peer);
    if (secret.every((b) => b === 0)) refuse('BAD_KEY');
    return secret;
  },
};

// ---- suite 2 ---------------------------------------------------------------------------------------------------

const FIELD = 2n ** 255n - 19n;
const little = (b) => num(Buffer.from(b).reverse());
const Y8 = little(Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex'));
const yOf = (b) => little(b) & (2n ** 255n - 1n);
const SMALL_ORDER = new Set([0n, 1n, FIELD - 1n, Y8, FIELD - Y8]);     // §3-10
const PKCS8 = { Ed25519: '302e020100300506032b657004220420', X25519: '302e020100300506032b656e04220420' };
const privateKey = (kind, d) => crypto.createPrivateKey(
  { key: Buffer.concat([Buffer.from(PKCS8[kind], 'hex'), d]), format: 'der', type: 'pkcs8' });
const publicKey = (crv, key) => crypto.createPublicKey({ key: { kty: 'OKP', crv, x: b64(key) }, format: 'jwk' });
const raw = (key) => Buffer.from(crypto.createPublicKey(key).export({ format: 'jwk' }).x, 'base64url');

const ed25519 = {
  number: 2,
  name: 'ed25519',
  keyLength: 32,
  sealKey: 32,
  ...aead('chacha20-poly1305'),
  checkKey(key) {                                             // §3-10
    if (key.length !== 32) refuse('BAD_KEY');
    const y = yOf(key);
    if (y >= FIELD || SMALL_ORDER.has(y)) refuse('BAD_KEY');
  },
  publicKey: (d) => raw(privateKey('Ed25519', d)),
  newPrivate: () => crypto.randomBytes(32),
  sign: (d, digest) => crypto.sign(null, digest, privateKey('Ed25519', d)),
  verify(key, digest, signature) {                            // §3-11
    this.checkKey(key);
    if (signature.length !== 64) refuse('BAD_SIGNATURE');
    let good = false;
    if (SMALL_ORDER.has(yOf(signature.subarray(0, 32)))) good = edwards.holds(key, digest, signature);
    else {
      try { good = crypto.verify(null, digest, publicKey('Ed25519', key), signature); }
      catch (e) { /* decodes to no point */ }
    }
    if (!good) refuse('BAD_SIGNATURE');
  },
  ephemeralPublic: (d) => raw(privateKey('X25519', d)),
  agree(d, peer) {                                            // §3-12, §3-13
    if (peer.length !== 32 || little(peer) >= FIELD || peer.equals(this.ephemeralPublic(d))) refuse('BAD_KEY');
    let secret;
    try {
      secret = crypto.diffieHellman({ privateKey: privateKey('X25519', d), publicKey: publicKey('X25519', peer) });
    } catch (e) { refuse('BAD_KEY', 'small order'); }
    if (secret.every((b) => b === 0)) refuse('BAD_KEY');
    return secret;
  },
};

const suites = { p256, ed25519 };
const suiteOf = (name) => suites[name] || refuse('BAD_INPUT', 'no such suite');

module.exports = { H, hkdf, suiteOf };
