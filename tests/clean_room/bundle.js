'use strict';
// §5.4: what is behind some spans, in compact form; and §8.4, which spans to pay with.
const crypto = require('node:crypto');
const { placeOf, requestSalt, commitmentOf, KINDS, EMPTY } = require('./statements');
const { encode } = require('./wire');
const { TOKEN } = require('./store');
const { refuse } = require('./errors');

const WARRANTS = 2;
const hex = (b) => b.toString('hex');

/** The bundle and compact spans of a transfer's body: each hand after those that it spends (§5.4-1). */
function compact(wallet, spans) {
  const [tokens, hands] = [[], []];
  const indexIn = (list, id) => list.findIndex((x) => x.id.equals(id));
  const add = (parent) => {
    if (parent.side === TOKEN) {
      if (indexIn(tokens, parent.id) < 0) tokens.push({ id: parent.id });
    } else if (indexIn(hands, parent.id) < 0) {
      wallet.sent.get(hex(parent.id)).statement.body.spans.forEach((s) => add(s.parent));
      hands.push({ id: parent.id });
    }
  };
  spans.forEach((s) => add(s.parent));
  const short = ({ parent, start, end }) => (parent.side === TOKEN ? { token: indexIn(tokens, parent.id), start, end }
    : { transfer: indexIn(hands, parent.id), side: parent.side, place: parent.place, start, end });
  return {
    spans: spans.map(short),
    bundle: {
      certificates: [wallet.certificate],                     // all hands are this card's own (§10.1-4)
      tokens: tokens.map(({ id }) => ({ ...wallet.tokens.get(hex(id)), owner: 0 })),
      transfers: hands.map(({ id }) => hand(wallet.sent.get(hex(id)), short)),
    },
  };
}

/** A dead transfer of this card, with its warrant (§5.4, §8.2-4). */
function hand({ statement: { body, shown, signature }, outcome }, short) {
  const receipt = outcome.kind === KINDS.RECEIPT;
  return {
    payer: 0,
    payee: body.payee,
    spans: body.spans.map(short),
    epoch: body.epoch,
    witness: body.witness,
    proof: {
      place: placeOf(shown),
      salt: requestSalt(shown.seed),
      request: shown.request,
      transfer: receipt ? outcome.body.transfer : EMPTY,
      reason: receipt ? 0 : outcome.body.reason,
      epoch: outcome.body.epoch,
      commitment: Buffer.isBuffer(outcome.shown) ? outcome.shown : commitmentOf(outcome.shown),
      signature: outcome.signature,
    },
    signature,
  };
}

// ---- conditions ------------------------------------------------------------------------------------------------

const PAYEE = 1, CATEGORY = 2, MERCHANT = 3, CAP = 4, WINDOW = 5;      // §5.6-1; this card brings no other witness
const LISTED = 16;

/** What of a token may go to this payee: {most units, whether its certificate must be shown}, or null for nothing. */
function allowed(token, { certificate, now, date, keyLength }) {
  const out = { most: Infinity, witness: false };
  for (const { code, value } of token.conditions) {
    if (code === PAYEE) {
      const n = value.length / keyLength;
      const keys = Number.isInteger(n) && n >= 1 && n <= LISTED
        ? Array.from({ length: n }, (_, i) => value.subarray(i * keyLength, (i + 1) * keyLength)) : [];
      if (!keys.some((k) => k.equals(certificate.key))) return null;
    } else if (code === CATEGORY) {
      const n = value.length / 2;
      const listed = Number.isInteger(n) && n >= 1 && n <= LISTED
        ? Array.from({ length: n }, (_, i) => value.readUInt16BE(2 * i)) : [];
      if (listed.some((c) => c < 1 || c > 9999) || !listed.includes(certificate.category)) return null;
      out.witness = true;
    } else if (code === MERCHANT) {
      if (value.length || !certificate.category) return null;
      out.witness = true;
    } else if (code === CAP) {
      if (value.length !== 8) return null;
      const cap = value.readBigUInt64BE();
      out.most = Math.min(out.most, cap > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(cap));
    } else if (code === WINDOW) {
      if (value.length !== 8) return null;
      const [first, last] = [value.readUInt32BE(0), value.readUInt32BE(4)];
      if (date < first || date > last || now > last) return null;      // §5.6-10
    } else return null;                                       // §5.6-3, and what needs another's witness
  }
  return out;
}

/** §5.6-9: each witness serves, and once: here only the payee's certificate. */
function witnessOf(wallet, spans, terms) {
  return spans.some((s) => allowed(wallet.token(s.parent), terms).witness)
    ? [encode('WalletCertificate', terms.certificate)] : [];
}

// ---- choosing --------------------------------------------------------------------------------------------------

/** §8.4-2: the holdings that this payee may be offered, each with the most that may be cut from it. */
function payable(wallet, request, terms) {
  return wallet.holdings.map((h) => {
    const token = wallet.token(h.parent);
    const terms_ = allowed(token, terms);
    const fits = terms_ && token.currency === request.currency && terms.now <= token.spend_by
      && Math.min(token.hops, request.hops) > 0               // §8.2-1: all parents here have 0 hops
      && wallet.restored(h.parent) <= WARRANTS;
    return fits ? { ...h, most: Math.min(h.end - h.start, terms_.most), capped: terms_.most < Infinity, token,
      conditions: token.conditions.length } : null;
  }).filter(Boolean);
}

function piece({ parent, start, end }, amount) {
  const low = crypto.randomInt(2);                            // §8.4-5
  return low ? { parent, start, end: start + amount } : { parent, start: end - amount, end };
}

/** §8.4: spans for this request. `fits` says whether the message is short enough for the payee. */
function choose(wallet, request, terms, fits) {
  const all = payable(wallet, request, terms);
  if (request.spans < 1) refuse('INSUFFICIENT', 'the payee takes no span');
  const singles = all.filter((h) => h.most >= request.amount)
    .sort((a, b) => b.conditions - a.conditions || wallet.restored(a.parent) - wallet.restored(b.parent));
  for (const h of singles) {                                  // §8.4-4
    const spans = [piece(h, request.amount)];
    if (fits(spans)) return spans;
  }
  const spans = [];
  let left = request.amount;
  for (const h of all.sort((a, b) => b.most - a.most)) {
    const used = h.capped && spans.some((s) => wallet.token(s.parent) === h.token);
    if (!left || used || spans.length === Math.min(request.spans, 16)) continue;
    const n = Math.min(left, h.most);
    spans.push(piece(h, n));
    left -= n;
  }
  if (left) refuse(singles.length ? 'TOO_LARGE' : 'INSUFFICIENT');
  if (!fits(spans)) refuse('TOO_LARGE');                      // §8.4-3
  return spans;
}

module.exports = { compact, payable, choose, witnessOf };
