'use strict';
// The types of §4, §5.2, §5.4, §5.5 and §14, as the tables have them, and what reads and writes them.
const { refuse } = require('./errors');
const { pack, unpack } = require('./msgpack');

const SCALARS = {
  money: 'uint 0..2^53-1', number: 'uint 0..2^32-1', counter: 'uint 0..2^63-1', epoch: 'uint 0..2^24',
  index: 'uint 0..63', key: 'bytes 32 or bytes 33', digest: 'bytes 32', signature: 'bytes 64', hint: 'bytes 4',
  seed: 'bytes 16', basket: 'bytes 16',
};
const KINDS = {
  TOKEN: 1, AUTHORITY: 2, WALLET: 3, HEADER: 4, POLICY: 5, REPLY: 6, REQUEST: 16, PRESENT: 17, SYNC: 18,
  SUCCESSOR: 19, GRANT: 20, BIND: 21, OWN: 22, ORDER: 23, TRANSFER: 32, RECEIPT: 33, CLOSE: 34,
};
const ENUMS = {
  Side: [0, 1, 2], Carrier: [1, 2, 3, 4, 5, 6, 7], Authority: [1, 2, 3], Verification: [0, 1, 2, 3],
  Fraud: [1, 2, 3, 4], Standing: [1, 2, 3, 4, 5], Errand: [1, 2, 3, 4, 5], Kind: Object.values(KINDS),
  Outcome: [KINDS.RECEIPT, KINDS.CLOSE],
};
const FLAGS = { Role: 3, Want: 31 };
const MANY = '0..1000000';

const STRUCTS = {
  // §4.1-4
  RequestBody: 'session: digest; initiator: bool; amount: money; currency: currency; basket: basket; '
    + 'part: uint 0..255; details: bytes 0 or digest; hops: uint 0..255; spans: uint 0..255; size: uint 0..16384; '
    + 'verification: enum Verification; epoch: epoch',
  PresentBody: 'session: digest; initiator: bool; epoch: epoch',
  SyncBody: 'challenge: digest; upload: digest; epoch: epoch',
  SuccessorBody: 'successor: key; epoch: epoch',
  GrantBody: 'token: digest; payee: bytes 0 or key; category: uint 0..9999; amount: money; '
    + 'basket: bytes 0 or basket; first: epoch; last: epoch',
  BindBody: 'owner: key; session: digest; number: counter; epoch: epoch',
  OwnBody: 'wallet: key; session: digest; epoch: epoch',
  OrderBody: 'wallet: key; bind: counter; number: counter; errand: enum Errand; frozen: bool; payment: money; '
    + 'day: money; amount: money; to: bytes 0 or key; epoch: epoch',
  TransferBody: 'payee: key; spans: [Span] 1..16; epoch: epoch; witness: [bytes] 0..16',
  ReceiptBody: 'request: digest; transfer: digest; epoch: epoch',
  CloseBody: 'request: digest; reason: number; epoch: epoch',
  Span: 'parent: Parent; start: money; end: money',
  Parent: 'id: digest; side: enum Side; place: uint 0..15',
  // §4.2
  Opening: 'seed: seed; prev: counter; ctr: counter; private: Private; request: bytes 0 or digest',
  Private: 'verification: enum Verification; refund_of: bytes 0 or digest',
  TapeOpening: 'salt: digest; prev: counter; ctr: counter; private: digest; request: digest',
  RequestOpening: 'place: digest; salt: digest; request: digest',
  // §4.3
  Token: 'serial: bytes 8; amount: uint 1..2^53-1; currency: currency; owner: key; spend_by: epoch; '
    + 'claim_by: epoch; hops: uint 0..255; conditions: [Condition] 0..64; issuer: hint; signature: signature',
  Condition: 'code: number; value: bytes',
  AuthorityCertificate: 'key: key; authority: enum Authority; number: number; quota: number; expires: epoch; '
    + 'issuer: hint; signature: signature',
  WalletCertificate: 'key: key; carrier: enum Carrier; tier: uint 0..255; role: flags Role; '
    + 'category: uint 0..9999; attestation: bytes 0 or digest; expires: epoch; ordinal: number; issuer: hint; '
    + 'signature: signature',
  Header: 'epoch: epoch; policy: number; issuer: hint; signature: signature',
  Policy: 'version: number; tiers: [Tier] 0..64; hotlist: [key] 0..64; authorities: [hint] 0..64; issuer: hint; '
    + 'signature: signature',
  Tier: 'number: number; payment: money; payments: number; receipts: number; received: money; '
    + 'day: money; balance: money; unverified: money; untimed: money',
  // §5.2: the messages, after their number
  Hello: 'scheme: hint; versions: [uint 0..255] 1..8; ephemeral: key; want: flags Want',
  Welcome: 'version: uint 0..255; ephemeral: key; want: flags Want; sealed: bytes',
  RequestMessage: 'prove: bool; amount: money; currency: currency; basket: basket; part: uint 0..255; '
    + 'details: bytes 0 or digest; hops: uint 0..255; spans: uint 0..255; size: uint 0..16384; '
    + 'verification: enum Verification; epoch: epoch; signature: signature; certificate: WalletCertificate; '
    + 'authorities: [AuthorityCertificate] 0..8; news: uint 0..65535',
  PresentMessage: 'prove: bool; epoch: epoch; signature: signature; certificate: WalletCertificate; '
    + 'authorities: [AuthorityCertificate] 0..8; news: uint 0..65535',
  TransferMessage: 'request: bytes 0 or digest; spans: [CompactSpan] 1..16; epoch: epoch; witness: [bytes] 0..16; '
    + 'seed: seed; prev: counter; ctr: counter; verification: enum Verification; refund_of: bytes 0 or digest; '
    + 'signature: signature; bundle: Bundle; header: nil or Header; authorities: [AuthorityCertificate] 0..8; '
    + 'news: bool',
  OutcomeMessage: 'kind: uint 33..34; transfer: bytes 0 or digest; reason: number; epoch: epoch; seed: seed; '
    + 'prev: counter; ctr: counter; signature: signature; header: nil or Header',
  ProceedMessage: '',
  RefuseMessage: 'code: number',
  DoneMessage: '',
  RecallMessage: 'digests: [digest] 1..16',
  NewsHave: 'policy: number; blocked: [hint] 0..64; room: uint 0..16384; size: uint 0..16384',
  NewsPiece: 'left: number; data: bytes',
  PingMessage: 'nonce: bytes 8',
  PongMessage: 'nonce: bytes 8',
  // §5.4
  Bundle: 'certificates: [WalletCertificate] 1..64; tokens: [CompactToken] 1..64; transfers: [CompactTransfer] 0..64',
  CompactToken: 'serial: bytes 8; amount: uint 1..2^53-1; currency: currency; owner: index; spend_by: epoch; '
    + 'claim_by: epoch; hops: uint 0..255; conditions: [Condition] 0..64; issuer: hint; signature: signature',
  CompactTransfer: 'payer: index; payee: index or key; spans: [CompactSpan] 1..16; epoch: epoch; '
    + 'witness: [bytes] 0..16; proof: digest or CompactWarrant; signature: signature',
  TokenSpan: 'token: index; start: money; end: money',
  HandSpan: 'transfer: index; side: uint 1..2; place: uint 0..15; start: money; end: money',
  CompactWarrant: 'place: digest; salt: digest; request: digest; transfer: bytes 0 or digest; reason: number; '
    + 'epoch: epoch; commitment: digest; signature: signature',
  // §5.5, §14
  Statement: 'kind: enum Kind; key: key; body: body; shown: digest or Opening; signature: bytes 0 or signature',
  Warrant: 'opening: RequestOpening; outcome: Statement',
  Dead: 'transfer: digest; warrant: Warrant',
  SignedUpload: 'upload: bytes; challenge: digest; epoch: epoch; signature: signature; '
    + 'heir: bytes 0 or signature',
  Upload: `certificate: WalletCertificate; tokens: [Token] ${MANY}; certificates: [WalletCertificate] ${MANY}; `
    + `transfers: [Statement] ${MANY}; warrants: [Dead] ${MANY}; tape: [Statement] ${MANY}; `
    + `heard: [Statement] ${MANY}; pending: [digest] ${MANY}; delivered: counter; successor: nil or Statement; `
    + `words: [Statement] ${MANY}`,
  SignedReply: 'reply: bytes; issuer: hint; signature: signature',
  Reply: `news: News; outcomes: [Statement] ${MANY}; deposits: [digest] ${MANY}; tokens: [Token] ${MANY}; `
    + `delivered: counter; standing: [Settlement] ${MANY}; `
    + `successor: nil or WalletCertificate; words: [Statement] ${MANY}`,
  Settlement: 'transfer: digest; standing: enum Standing; epoch: epoch; amount: money',
  News: `certificate: nil or WalletCertificate; authorities: [AuthorityCertificate] ${MANY}; `
    + `header: nil or Header; policy: nil or Policy`,
};
const MESSAGES = [null, 'Hello', 'Welcome', 'RequestMessage', 'PresentMessage', 'TransferMessage', 'OutcomeMessage',
  'ProceedMessage', 'RefuseMessage', 'DoneMessage'];
MESSAGES[13] = 'RecallMessage';
MESSAGES[14] = 'NewsHave';
MESSAGES[15] = 'NewsPiece';
MESSAGES[24] = 'PingMessage';
MESSAGES[25] = 'PongMessage';
const BODIES = {
  16: 'RequestBody', 17: 'PresentBody', 18: 'SyncBody', 19: 'SuccessorBody', 20: 'GrantBody', 21: 'BindBody',
  22: 'OwnBody', 23: 'OrderBody', 32: 'TransferBody',
  33: 'ReceiptBody', 34: 'CloseBody',
};
const onTape = (kind) => kind >= 32;

// A type is {read, write}: read takes what msgpack gave (or refuses as MALFORMED), write gives it back.
const bad = (why) => refuse('MALFORMED', why);
const same = (v) => v;
const both = (read) => ({ read, write: read });
const check = (test, why) => both((v) => (test(v) ? v : bad(why)));
const isUint = (v) => typeof v === 'number' || typeof v === 'bigint';

function uint(range) {
  const [low, high] = range.split('..').map((t) => {
    const power = /^2\^(\d+)(-1)?$/.exec(t);
    return power ? 2n ** BigInt(power[1]) - (power[2] ? 1n : 0n) : BigInt(t);
  });
  const wide = high > BigInt(Number.MAX_SAFE_INTEGER);        // counters are BigInts throughout
  return both((v) => (isUint(v) && v >= low && v <= high ? (wide ? BigInt(v) : v) : bad('out of range')));
}

// What a table's types do not say.
const RULES = {
  Warrant: (w) => ENUMS.Outcome.includes(w.outcome.kind),     // §5.5-1: the outcome is a Receipt or Close
  OutcomeMessage: (m) => (m.kind === KINDS.RECEIPT ? m.reason === 0 : !m.transfer.length),         // §5.2-6
  CompactWarrant: (w) => !w.transfer.length || w.reason === 0,                                     // §5.2-6
};

const cache = new Map();
function type(text) {
  if (!cache.has(text)) cache.set(text, compile(text));
  return cache.get(text);
}

function compile(text) {
  const array = /^\[(.*)\] (\d+)\.\.(\d+)$/.exec(text);
  if (array) {
    const item = type(array[1]);
    return {
      read(v) {
        if (!Array.isArray(v) || v.length < +array[2] || v.length > +array[3]) bad('array');
        return v.map(item.read);
      },
      write: (v) => v.map(item.write),
    };
  }
  if (text === 'CompactSpan') text = 'TokenSpan or HandSpan';
  if (text.includes(' or ')) {
    const choices = text.split(' or ').map(type);
    const first = (how) => (v) => {
      for (const c of choices) try { return c[how](v); } catch (e) { /* the next one */ }
      return bad(text);
    };
    return { read: first('read'), write: first('write') };
  }
  const [word, rest] = [text.split(' ')[0], text.slice(text.indexOf(' ') + 1)];
  if (word === 'uint') return uint(rest);
  if (word === 'enum') return check((v) => ENUMS[rest].includes(v), text);
  if (word === 'flags') return check((v) => typeof v === 'number' && v >= 0 && v <= FLAGS[rest], text);
  if (text === 'bytes') return check(Buffer.isBuffer, text);
  if (word === 'bytes') return check((v) => Buffer.isBuffer(v) && v.length === +rest, text);
  if (text === 'bool') return check((v) => typeof v === 'boolean', text);
  if (text === 'currency') return check((v) => typeof v === 'string' && /^[A-Z]{3}$/.test(v), text);
  if (text === 'nil') return check((v) => v === null, text);
  if (text === 'body') return { read: same, write: same };    // Statement reads it, by its kind
  if (SCALARS[text]) return type(SCALARS[text]);
  if (STRUCTS[text] !== undefined) return struct(text);
  throw new TypeError(text);
}

function struct(name) {
  const fields = STRUCTS[name].split('; ').filter(Boolean).map((f) => f.split(': ')).map(([n, t]) => [n, type(t)]);
  const out = {
    fields,
    read(v) {                                                 // §5.1-6: exactly the items of the table
      if (!Array.isArray(v) || v.length !== fields.length) bad(name);
      const it = {};
      fields.forEach(([n, t], i) => { it[n] = t.read(v[i]); });
      return it;
    },
    write(it) {
      if (typeof it !== 'object' || Buffer.isBuffer(it) || it === null) bad(name);
      return fields.map(([n, t]) => (it[n] === undefined ? bad(`${name} without ${n}`) : t.write(it[n])));
    },
  };
  const rule = RULES[name];
  if (rule) return { ...out, read: (v) => { const it = out.read(v); return rule(it) ? it : bad(name); } };
  return name === 'Statement' ? statement(out) : out;
}

/** §5.5: the body is of the statement's kind; off the tape `shown` is 32 zero bytes. */
function statement(plain) {
  return {
    ...plain,
    read(v) {
      const it = plain.read(v);
      if (!BODIES[it.kind]) bad('not a wallet\'s kind');
      it.body = type(BODIES[it.kind]).read(it.body);
      if (!onTape(it.kind) && !(Buffer.isBuffer(it.shown) && it.shown.every((b) => b === 0))) bad('shown off the tape');
      return it;
    },
    write: (it) => plain.write({ ...it, body: type(BODIES[it.kind]).write(it.body) }),
  };
}

/** Bytes of a whole form (§5.5), strictly. */
function decode(name, bytes, most = Infinity) {
  if (bytes.length > most) refuse('TOO_LARGE');               // §5.1-2
  const value = unpack(bytes, 1000000);
  const out = type(name).read(value);
  if (!pack(value).equals(bytes)) refuse('NOT_CANONICAL');    // §5.1-4
  return out;
}

/** §5.2: a message; `expected` is Hello, Welcome, or Message for what travels sealed. */
function decodeMessage(expected, bytes, most) {
  if (bytes.length > (expected === 'Hello' ? Math.min(most, 128) : most)) refuse('TOO_LARGE');     // §5.2-3
  const value = unpack(bytes, 64);                            // §5.1-6
  if (!Array.isArray(value) || !isUint(value[0])) bad('no message');
  const name = MESSAGES[Number(value[0])];
  const clear = name === 'Hello' || name === 'Welcome';       // §5.2-2
  if (expected !== 'Message' && name !== expected) refuse('UNEXPECTED_MESSAGE');
  if (expected === 'Message' && (!name || clear)) refuse('UNKNOWN_MESSAGE');
  const message = type(name).read(value.slice(1));
  if (!pack(value).equals(bytes)) refuse('NOT_CANONICAL');
  return { name, message };
}

const encode = (name, it) => pack(type(name).write(it));
const encodeMessage = (name, it) => pack([MESSAGES.indexOf(name), ...type(name).write(it)]);
/** §4.1-2: the array of the signed fields: of a body all, of what is issued all but the last two. */
const encodePublic = (name, it, issued) => pack(issued ? type(name).write(it).slice(0, -2) : type(name).write(it));

module.exports = {
  KINDS, BODIES, MESSAGES, onTape, decode, decodeMessage, encode, encodeMessage, encodePublic, STRUCTS,
};
