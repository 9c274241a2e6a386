'use strict';
// The test port of vectors/README: one JSON question, one answer; out is null for what a payer card does not offer.
// No device in the field has one.
const { H, suiteOf } = require('./suite');
const { idOf, schemeId, placeOf, requestOf, commitmentOf } = require('./statements');
const { KINDS, decode, decodeMessage } = require('./wire');
const { Channel, checkHello, checkWelcome, COLLECT, PAY } = require('./session');
const { Trust } = require('./trust');
const { Keystore } = require('./keystore');
const { Wallet } = require('./store');
const { Payer } = require('./payer');
const { Refusal, refuse, byNumber } = require('./errors');

const bytes = (text) => Buffer.from(text, 'hex');
const hex = (b) => b.toString('hex');
const counter = (text) => BigInt(`0x${text}`);

const OPERATIONS = {
  decode(suite, { as, most, bytes: text }) {
    const messages = ['Hello', 'Welcome', 'Message'];
    if (messages.includes(as)) return { type: decodeMessage(as, bytes(text), most).name };
    decode(as, bytes(text), most);
    return { type: as };
  },

  code: (suite, { number }) => byNumber.get(number) || { name: null, fault: null },

  scheme(suite, { root }) {
    const id = schemeId(suite, bytes(root));
    return { id: hex(id), hint: hex(id.subarray(0, 4)) };
  },

  id: (suite, i) => ({ id: hex(idOf(bytes(i.scheme), i.kind, bytes(i.key), H(bytes(i.public)), bytes(i.commitment))) }),

  commit(suite, i) {
    const opening = { seed: bytes(i.seed), prev: counter(i.prev), ctr: counter(i.ctr), request: bytes(i.request),
      private: { verification: i.verification, refund_of: bytes(i.refund_of) } };
    return { place: hex(placeOf(opening)), request: hex(requestOf(opening)), commitment: hex(commitmentOf(opening)) };
  },

  verify(suite, { key, digest, signature }) {
    suite.verify(bytes(key), bytes(digest), bytes(signature));
    return {};
  },

  agree(suite, { private: mine, peer }) {
    return { public: hex(suite.ephemeralPublic(bytes(mine))), shared: hex(suite.agree(bytes(mine), bytes(peer))) };
  },

  channel(suite, i) {
    const scheme = schemeId(suite, bytes(i.root));
    const hello = decodeMessage('Hello', bytes(i.hello), 128).message;
    const welcome = decodeMessage('Welcome', bytes(i.welcome), 16384).message;
    const part = (i.initiator ? hello : welcome).want & (COLLECT | PAY);
    if (i.initiator) checkWelcome(welcome, hello, part);
    else checkHello(hello, scheme, part);
    const channel = new Channel({ suite, scheme, initiator: i.initiator, mine: bytes(i.private), hello,
      helloFrame: bytes(i.hello), welcome });
    return { transcript: hex(channel.th), sealed: i.seal.map((p) => hex(channel.seal(bytes(p)))),
      opened: i.open.map((f) => hex(channel.open(bytes(f)))) };
  },

  certificate(suite, i) {
    const trust = new Trust(suite, bytes(i.root));
    for (const a of i.authorities) trust.takeAuthority(decode('AuthorityCertificate', bytes(a)));
    if (i.header) trust.takeHeader(decode('Header', bytes(i.header)), false);
    if (i.policy) trust.takePolicy(decode('Policy', bytes(i.policy)));
    const certificate = decode('WalletCertificate', bytes(i.certificate));
    trust.genuine(certificate);
    trust.inForce(certificate, i.epoch);
    if (trust.hotlisted(certificate.key)) refuse('HOTLISTED');
    return {};
  },

  keystore(suite, i) {
    if (i.calls.some((call) => call.pin)) return null;        // §22: this keystore has no PIN
    const keystore = new Keystore(suite, schemeId(suite, bytes(i.root)), bytes(i.private));
    return { answers: i.calls.map(({ kind, public: hash, opening: o, shown }) => {
      const number = typeof kind === 'string' ? KINDS[kind] : kind;
      try {
        const opening = o && { salt: bytes(o.salt), prev: counter(o.prev), ctr: counter(o.ctr),
          private: bytes(o.private), request: bytes(o.request), half: bytes(shown) };
        return { id: hex(o ? keystore.tapeId(number, bytes(hash), opening) : keystore.id(number, bytes(hash))) };
      } catch (e) { return { error: nameOrThrow(e) }; }
    }) };
  },

  taps(suite, { setup, taps }) {
    if (taps.some((t) => t.order.charge)) return null;        // a payer-only card collects nothing
    const wallet = new Wallet(setup);
    return { taps: taps.map((tap) => oneTap(wallet, tap)) };
  },
};

function oneTap(wallet, tap) {
  let { now } = tap;
  let ping;
  const { refund_of: refund, amount } = tap.order.pay;
  const payer = new Payer(wallet, { initiator: tap.initiator, ephemeral: bytes(tap.private), now: () => now,
    within: tap.within === undefined ? null : tap.within / 1000, random: () => ping,
    order: { refund_of: bytes(refund), amount } });
  return { steps: tap.events.map((e) => {
    now = (e.now || tap.now) + (e.ms || 0) / 1000;
    ping = e.ping && bytes(e.ping);
    const { state, effects } = payer.handle({
      on: e.on, code: e.code, verification: e.verification,
      frame: e.frame === undefined ? undefined : bytes(e.frame),
      signature: e.signature && bytes(e.signature),
      spans: e.spans && e.spans.map(([id, side, place, start, end]) => (
        { parent: { id: bytes(id), side, place }, start, end })),
      seed: e.entry && bytes(e.entry.seed),
      ctr: e.entry && counter(e.entry.ctr),
    });
    return { state, effects: effects.map(shown) };
  }) };
}

const MEMBERS = { persist: ['records'], sign: ['kind', 'id'], send: ['frame'],
  ask: ['amount', 'currency', 'payee', 'verification'],
  report: ['result', 'amount', 'currency', 'transfer', 'code'] };
function shown(effect) {
  const plain = (v) => (Buffer.isBuffer(v) ? hex(v) : v);
  return Object.fromEntries(['do', ...MEMBERS[effect.do]].map((m) => [m, plain(effect[m])]));
}

function nameOrThrow(e) {
  if (!(e instanceof Refusal)) throw e;
  return e.code;
}

/** A question without `out`, as its answer. */
function answer({ op, suite, in: question }) {
  const operation = OPERATIONS[op];
  if (!operation) return null;
  try { return operation(suiteOf(suite), question); } catch (e) { return { error: nameOrThrow(e) }; }
}

module.exports = { answer };
