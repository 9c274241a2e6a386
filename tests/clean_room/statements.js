'use strict';
// §4: ids, commitments, and what is signed.
const { H } = require('./suite');
const { KINDS, BODIES, encodePublic } = require('./wire');

const EMPTY = Buffer.alloc(0);
const ZERO = Buffer.alloc(32);
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };

/** §3-1 */
function schemeId(suite, root) {
  suite.checkKey(root);
  return H(Buffer.from('dualtap scheme 1'), Buffer.from([suite.number]), root);
}

/** §4.1-1; `hash` is H(public). */
const idOf = (scheme, kind, key, hash, commitment = ZERO) => H(scheme, Buffer.from([kind]), key, hash, commitment);

const bodyHash = (kind, body) => H(encodePublic(BODIES[kind], body));
/** §4.3-1: all but the issuer's hint and the signature. */
const issuedHash = (name, it) => H(encodePublic(name, it, true));

// §4.2-2
const placeSalt = (seed) => H(Buffer.from('place'), seed);
const requestSalt = (seed) => H(Buffer.from('request'), seed);
const privateHalf = ({ verification, refund_of: refund }) => Buffer.concat([Buffer.from([verification]), refund]);
const privateHash = (half) => H(privateHalf(half));
const placeOf = ({ seed, prev, ctr, private: half }) => H(placeSalt(seed), u64(prev), u64(ctr), privateHash(half));
const requestOf = ({ seed, request }) => (request.length ? H(requestSalt(seed), request) : ZERO);
const commitmentOf = (opening) => H(placeOf(opening), requestOf(opening));
/** §4.2-5: what a Receipt or Close commits to. */
const bare = ({ seed, prev, ctr }) => (
  { seed, prev, ctr, private: { verification: 0, refund_of: EMPTY }, request: EMPTY });
/** §4.2: what the keystore is told of a place. */
const tapeOpening = (o) => ({
  half: privateHalf(o.private), salt: placeSalt(o.seed), prev: o.prev, ctr: o.ctr, private: privateHash(o.private),
  request: requestOf(o) });
/** §13-1: the keystore's own way to the commitment. */
const commitmentOfTape = (t) => H(H(t.salt, u64(t.prev), u64(t.ctr), t.private), t.request);

/** §5.5-1: the id of a whole statement, whose commitment is shown or follows from its opening. */
function statementId(scheme, s) {
  const commitment = Buffer.isBuffer(s.shown) ? s.shown : commitmentOf(s.shown);
  return idOf(scheme, s.kind, s.key, bodyHash(s.kind, s.body), commitment);
}

module.exports = {
  EMPTY, ZERO, KINDS, schemeId, idOf, bodyHash, issuedHash, placeOf, requestOf, requestSalt, commitmentOf,
  commitmentOfTape, tapeOpening, bare, statementId,
};
