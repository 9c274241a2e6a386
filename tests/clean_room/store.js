'use strict';
// §12: the wallet is a fold over its log. The log is in memory, or in a file that is confirmed before it counts.
const fs = require('node:fs');
const { H, suiteOf } = require('./suite');
const { Trust } = require('./trust');
const { KINDS, bodyHash, statementId, tapeOpening } = require('./statements');
const { decode, STRUCTS } = require('./wire');
const wire = require('./wire');
const { pack, unpack } = require('./msgpack');
const { refuse } = require('./errors');
const { syncFolder } = require('./keystore');

const TOKEN = 0, PAYER = 2;                                   // Side
const PIN = 2;                                                // Verification
const NUMBERS = { News: 1, Funded: 2, Sent: 5, SignedTail: 6, Moved: 7, Healed: 8 };
const NAMES = Object.fromEntries(Object.entries(NUMBERS).map(([k, v]) => [v, k]));
// §12-1: a record's fields, of which whole forms are stored as their bytes.
const FIELDS = {
  News: 'news: News', Funded: 'token: Token', Sent: 'transfer: Statement; basket: basket; part: uint 0..255',
  SignedTail: 'id: digest; signature: signature', Moved: 'id: digest; prev: counter; ctr: counter',
  Healed: 'transfer: digest; outcome: Statement',
};
for (const [name, fields] of Object.entries(FIELDS)) STRUCTS[`${name}Record`] = fields;

const OUTCOME_ROOM = 512;                                     // §12-8: a Healed record, and the tail's signature
const hex = (b) => b.toString('hex');
const toBytes = (r) => wire.encode(`${r.record}Record`, r);
const fromBytes = (number, b) => ({ record: NAMES[number], ...decode(`${NAMES[number]}Record`, b) });

/** One line of the file is one Persist: its length, eight bytes of its hash, and its records. */
class FileLog {
  constructor(file) {
    this.file = file;
    this.bytes = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0);
    this.persists = [];
    let at = 0;
    while (this.bytes.length >= at + 12) {
      const n = this.bytes.readUInt32BE(at);
      const body = this.bytes.subarray(at + 12, at + 12 + n);
      if (body.length < n || !H(body).subarray(0, 8).equals(this.bytes.subarray(at + 4, at + 12))) break;
      this.persists.push(unpack(body, 64).map(([number, bytes]) => fromBytes(number, bytes)));
      at += 12 + n;
    }
    this.bytes = this.bytes.subarray(0, at);                  // §12-4: what was torn never counted
    this.rewrite();
  }

  get used() { return this.bytes.length; }

  append(records) {
    const body = pack(records.map((r) => [NUMBERS[r.record], toBytes(r)]));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    const line = Buffer.concat([size, H(body).subarray(0, 8), body]);
    const before = this.bytes;
    this.bytes = Buffer.concat([before, line]);
    try {
      fs.writeSync(this.fd, line);
      fs.fsyncSync(this.fd);
    } catch (e) {                                             // §12-11: elsewhere, and confirmed, or not at all
      try { this.rewrite(); } catch (again) { this.bytes = before; refuse('STORE_FAILED', again.message); }
    }
  }

  rewrite() {
    const fd = fs.openSync(`${this.file}.new`, 'w');
    fs.writeSync(fd, this.bytes);
    fs.fsyncSync(fd);
    fs.renameSync(`${this.file}.new`, this.file);
    syncFolder(this.file);
    if (this.fd !== undefined) fs.closeSync(this.fd);
    this.fd = fd;
  }
}

class MemoryLog {
  constructor() { this.used = 0; this.persists = []; }
  append(records) { for (const r of records) this.used += toBytes(r).length + 12; }
}

class Wallet {
  constructor(setup, log = new MemoryLog()) {
    this.suite = suiteOf(setup.suite);
    this.trust = new Trust(this.suite, Buffer.from(setup.root, 'hex'));
    this.profile = setup.profile;
    this.log = log;
    this.certificate = null;
    this.tokens = new Map();                                  // id → Token
    this.sent = new Map();                                    // id → {statement, basket, part, outcome, dead}
    this.holdings = [];                                       // {parent, start, end}
    this.pending = [];                                        // ids, oldest first
    this.tail = null;                                         // {id, signed, durable, before}
    this.ctr = 0n;
    this.payments = 0;                                        // since the last sync
    if (log.persists.length) for (const records of log.persists) records.forEach((r) => this.apply(r));
    else this.personalise(setup);
  }

  get scheme() { return this.trust.scheme; }
  get key() { return this.certificate.key; }

  personalise(setup) {
    const whole = (name) => (t) => decode(name, Buffer.from(t, 'hex'));
    const news = {
      certificate: whole('WalletCertificate')(setup.certificate),
      authorities: setup.authorities.map(whole('AuthorityCertificate')),
      header: setup.header ? whole('Header')(setup.header) : null,
      policy: setup.policy ? whole('Policy')(setup.policy) : null,
    };
    this.persist([{ record: 'News', news },
      ...setup.tokens.map((t) => ({ record: 'Funded', token: whole('Token')(t) }))]);
  }

  /** §12-4: all of these durable, or none; with them the tail's signature, if it is not yet. Gives their names. */
  persist(records) {
    const all = [...this.signedTail(), ...records];
    this.log.append(all);
    all.forEach((r) => this.apply(r));
    return all.map((r) => r.record);
  }

  signedTail() {
    const { tail } = this;
    return tail && tail.signed && !tail.durable ? [{ record: 'SignedTail', id: tail.id, signature: tail.signed }] : [];
  }

  apply(r) { this[`apply${r.record}`](r); }

  applyNews({ news }) {
    if (news.certificate) this.certificate = news.certificate;
    news.authorities.forEach((a) => this.trust.takeAuthority(a));
    if (news.header) this.trust.takeHeader(news.header, false);
    if (news.policy) this.trust.takePolicy(news.policy);
  }

  applyFunded({ token }) {
    this.trust.verifyToken(token);
    const id = this.trust.tokenId(token);
    this.tokens.set(hex(id), token);
    this.holdings.push({ parent: { id, side: TOKEN, place: 0 }, start: 0, end: token.amount });
  }

  applySent({ transfer, basket, part }) {
    const id = statementId(this.scheme, transfer);
    const cut = transfer.body.spans.map((s) => this.cut(s));
    this.holdings = cut.reduce((all, one) => one(all), this.holdings);
    this.sent.set(hex(id), { statement: transfer, basket, part, outcome: null, dead: false });
    this.pending.push(id);
    this.tail = { id, signed: null, durable: false, before: this.tail && this.tail.id };
    this.ctr = transfer.shown.ctr;
    this.payments += 1;
  }

  /** What is left of the holding that this span is cut from. */
  cut(span) {
    return (holdings) => holdings.flatMap((h) => {
      const inside = sameParent(h.parent, span.parent) && h.start <= span.start && span.end <= h.end;
      return inside ? [{ ...h, end: span.start }, { ...h, start: span.end }].filter((p) => p.start < p.end) : [h];
    });
  }

  applySignedTail({ id, signature }) {
    this.sent.get(hex(id)).statement.signature = signature;
    this.tail = { ...this.tail, signed: signature, durable: true };
  }

  /** §12-7: another interval, and therefore another id. */
  applyMoved({ id, prev, ctr }) {
    const entry = this.sent.get(hex(id));
    this.sent.delete(hex(id));
    entry.statement.shown = { ...entry.statement.shown, prev, ctr };
    const now = statementId(this.scheme, entry.statement);
    this.sent.set(hex(now), entry);
    this.pending = this.pending.map((p) => (p.equals(id) ? now : p));
    this.tail = { ...this.tail, id: now };
    this.ctr = ctr;
  }

  /** §11.4-6: paid, or held again on the payer's side. */
  applyHealed({ transfer, outcome }) {
    const entry = this.sent.get(hex(transfer));
    this.pending = this.pending.filter((p) => !p.equals(transfer));
    entry.outcome = outcome;
    entry.dead = !accepts(outcome, transfer);
    if (entry.dead) {
      entry.statement.body.spans.forEach(({ start, end }, place) => {
        this.holdings.push({ parent: { id: transfer, side: PAYER, place }, start, end });
      });
    }
  }

  /** The signature is made; it becomes durable with the next record. */
  signed(signature) {
    this.sent.get(hex(this.tail.id)).statement.signature = signature;
    this.tail.signed = signature;
  }

  /** Units by what became of them, and the transfers that are paid or in doubt. */
  books() {
    const units = (spans) => spans.reduce((n, s) => n + s.end - s.start, 0);
    const out = { held: units(this.holdings), paid: {}, in_doubt: {}, dead: {}, used: this.log.used };
    for (const [id, { statement, outcome, dead }] of this.sent) {
      out[dead ? 'dead' : outcome ? 'paid' : 'in_doubt'][id] = units(statement.body.spans);
    }
    return out;
  }

  token(parent) {
    while (parent.side !== TOKEN) parent = this.sent.get(hex(parent.id)).statement.body.spans[parent.place].parent;
    return this.tokens.get(hex(parent.id));
  }

  /** §22-1, §22-3: what was paid in an epoch, but for what is dead. */
  paidOn(epoch) { return this.sum((e) => e.statement.body.epoch === epoch); }

  /** §22-5: what was paid since the user was last verified. */
  unverified() {
    const said = (e) => e.statement.shown.private.verification >= PIN;
    const last = [...this.sent.values()].filter(said).reduce((most, e) => (
      e.statement.shown.ctr > most ? e.statement.shown.ctr : most), -1n);
    return this.sum((e) => !said(e) && BigInt(e.statement.shown.ctr) > BigInt(last));
  }

  sum(which) {
    const units = (e) => e.statement.body.spans.reduce((n, s) => n + s.end - s.start, 0);
    return [...this.sent.values()].filter((e) => !e.dead && which(e)).reduce((n, e) => n + units(e), 0);
  }

  /** §8.2-2: the payer's sides on a path; a payer-only card has no payee's side on any (§10.1-4). */
  restored(parent) {
    if (parent.side === TOKEN) return 0;
    return 1 + this.restored(this.sent.get(hex(parent.id)).statement.body.spans[parent.place].parent);
  }

  /** §11.4-8: has this been paid, as far as this card has heard? */
  paid(payee, basket, part) {
    return [...this.sent.values()].some((e) => e.outcome && !e.dead && e.part === part && e.basket.equals(basket)
      && e.statement.body.payee.equals(payee));
  }

  /** §12-8: for a Transfer of this size and its outcome, beside what the pending ones still need. */
  room(size) { return this.log.used + size + OUTCOME_ROOM * (this.pending.length + 1) <= this.profile.log; }

  /** §12-5, §12-6, §12-7: on opening, and before another entry. */
  finish(keystore) {
    const { tail } = this;
    const { cell } = keystore;
    const expected = tail ? [tail.id, tail.before || Buffer.alloc(0)] : [Buffer.alloc(0)];
    if (!expected.some((id) => id.equals(cell.id))) refuse('QUARANTINED');
    if (!tail || tail.signed) return;
    const { shown } = this.sent.get(hex(tail.id)).statement;
    if (!cell.id.equals(tail.id) && cell.ctr > shown.prev) {
      this.persist([{ record: 'Moved', id: tail.id, prev: cell.ctr, ctr: cell.ctr + 1n }]);
    }
    const { statement } = this.sent.get(hex(this.tail.id));
    this.signed(keystore.sign(KINDS.TRANSFER, bodyHash(KINDS.TRANSFER, statement.body), tapeOpening(statement.shown)));
    this.persist([]);
  }
}

const sameParent = (a, b) => a.side === b.side && a.place === b.place && a.id.equals(b.id);
const accepts = (outcome, id) => outcome.kind === KINDS.RECEIPT && outcome.body.transfer.equals(id);

module.exports = { Wallet, FileLog, sameParent, accepts, TOKEN, PAYER };
