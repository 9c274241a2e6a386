'use strict';
// §11: the payer of one tap: a machine that takes events and gives effects. What it persists is durable when it
// returns; it never has a signature made, or a byte sent, before.
const { EMPTY, ZERO, KINDS, idOf, bodyHash, commitmentOf, bare, statementId, tapeOpening } = require('./statements');
const { encodeMessage, decodeMessage } = require('./wire');
const { Channel, checkHello, checkWelcome, helloOf, welcomeOf, PAY, AUTHORITIES } = require('./session');
const { EPOCH_STEP } = require('./trust');
const { accepts, sameParent } = require('./store');
const { compact, payable, choose, witnessOf } = require('./bundle');
const { H } = require('./suite');
const { randomBytes } = require('node:crypto');
const { Refusal, refuse, nameOf, numberOf, byNumber } = require('./errors');

const ROLE_PAY = 1, ROLE_COLLECT = 2;                        // §4.3: not the numbers of Want
const PIN = 2, AMOUNT = Number.MAX_SAFE_INTEGER;              // §4.3: a sum of AMOUNT is no limit
const SESSION_SECONDS = 60, EPOCH_SECONDS = 86400, TAG = 16, CARD_MESSAGE = 1024, PINGS = 4, RECALLS = 16;
const hex = (b) => b.toString('hex');
const sum = (spans) => spans.reduce((n, s) => n + s.end - s.start, 0);

class Payer {
  /** `ephemeral` is a private key for this tap alone; `now` gives seconds since 1970, or 0 without a clock.
   *  `within` is what the link allows a timed round, in seconds; `random` gives the bytes of a Ping. */
  constructor(wallet, { initiator, ephemeral, order = {}, now = () => 0, within = null, random = randomBytes }) {
    Object.assign(this, { wallet, initiator, ephemeral, order, now, within, random });
    Object.assign(this, { state: 'ready', effects: [], began: null, rounds: 0, near: false });
    this.request = null;      // the Request of this tap, verified
    this.certificate = null;  // the payee's, that signed it or the Present
    this.peerEpoch = 0;       // the latest date that it signed in this session
    this.shown = null;        // the id of the transfer that waits for its outcome
    this.fresh = false;       // whether that was made in this tap
    this.proved = [];         // the keys that the peer has proved in this session
    this.healedPart = false;  // whether a healed transfer paid what is asked
  }

  /** §11.1-1: one event; gives {state, effects}. */
  handle(event) {
    this.effects = [];
    if (this.state === 'ended') refuse('ENDED');              // §11.1-3
    try {
      if (event.on !== 'begin') this.checkTime(event);
      this.step(event);
    } catch (e) {
      if (!(e instanceof Refusal) || e.code === 'BAD_INPUT') throw e;
      this.fail(e.code);
    }
    return { state: this.state, effects: this.effects };
  }

  step(event) {
    const name = `${this.state}, ${event.on}`;
    if (event.on === 'frame') return this.frame(event.frame);
    if (event.on === 'stop') return this.fail(event.code);
    switch (name) {
      case 'ready, begin': return this.begin();
      case 'sign present, signed': return this.presented(event.signature);
      case 'await consent, consent': return this.consent(event);
      case 'await consent, decline': return refuse('DECLINED');
      case 'sign transfer, signed': return this.transferred(event.signature);
      default: return refuse('BAD_INPUT', name);            // §11.1-3
    }
  }

  checkTime({ on }) {                                         // §6-15
    const now = this.now();
    if (!now || on === 'signed' || this.state === 'ready') return;
    if (on !== 'stop' && now - this.began > SESSION_SECONDS) refuse('TIMEOUT');
  }

  /** §7-12: for judging what has expired. */
  get today() { return Math.max(this.wallet.trust.date, Math.floor(this.now() / EPOCH_SECONDS)); }

  // ---- effects -------------------------------------------------------------------------------------------------

  persist(records) { this.effects.push({ do: 'persist', records: this.wallet.persist(records) }); }

  sign(kind, body, opening) {
    const hash = bodyHash(KINDS[kind], body);
    const id = idOf(this.wallet.scheme, KINDS[kind], this.wallet.key, hash, opening && commitmentOf(opening));
    this.effects.push({ do: 'sign', kind, id, hash, opening: opening && tapeOpening(opening) });
    return id;
  }

  sendClear(frame) { this.effects.push({ do: 'send', frame }); }
  send(name, message) { this.sendClear(this.channel.seal(encodeMessage(name, message))); }

  report(result, { amount = 0, currency = '', transfer = EMPTY } = {}, code = null) {
    this.effects.push({ do: 'report', result, amount, currency, transfer, code });
  }

  about(id) {
    const { spans } = this.wallet.sent.get(hex(id)).statement.body;
    return { amount: sum(spans), currency: this.wallet.token(spans[0].parent).currency, transfer: id };
  }

  asked() { return this.request ? { amount: this.request.amount, currency: this.request.currency } : {}; }

  notPaid() { return this.shown ? 'in_doubt' : 'not_paid'; }

  end(result, code) {
    this.state = 'ended';
    this.report(result, this.shown ? this.about(this.shown) : this.asked(), code);
  }

  /** §6-10, §6-16 */
  fail(code) {
    const known = byNumber.get(numberOf(code));
    if (this.channel && known.fault !== 'link' && code !== 'BAD_SEAL') {
      this.send('RefuseMessage', { code: numberOf(code) });
    }
    this.end(this.notPaid(), code);
  }

  // ---- session -------------------------------------------------------------------------------------------------

  begin() {
    const { suite, scheme, trust, certificate } = this.wallet;
    this.want = PAY | (trust.asks(certificate, this.today) ? AUTHORITIES : 0);       // §7-3
    this.began = this.now();
    if (this.initiator) {
      this.hello = helloOf(scheme, suite.ephemeralPublic(this.ephemeral), this.want);
      this.helloFrame = encodeMessage('Hello', this.hello);
      this.sendClear(this.helloFrame);
    }
    this.state = this.initiator ? 'await welcome' : 'await hello';
  }

  frame(frame) {
    const { message: most } = this.wallet.profile;
    if (this.state === 'ready') refuse('BAD_INPUT');
    if (this.state === 'await hello') return this.onHello(decodeMessage('Hello', frame, most).message, frame);
    if (frame.length > most) refuse('TOO_LARGE');             // §5.2-3
    if (this.state === 'await welcome') return this.onWelcome(decodeMessage('Welcome', frame, most).message);
    const { name, message } = decodeMessage('Message', this.channel.open(frame), most);      // §6-3, §6-13
    const resume = name === 'TransferMessage' && message.request.length;
    switch (`${this.state}, ${resume ? 'Resume' : name}`) {
      case 'await request, RequestMessage': return this.onRequest(message);
      case 'await request, PresentMessage': return this.onPresent(message);
      case 'await proceed, Resume': return refuse('UNKNOWN_REQUEST');   // §10.1-4, §11.4-3
      case 'await proceed, ProceedMessage': return this.goOn();
      case 'await proceed, RecallMessage': return this.onRecall();
      case 'await recall, PresentMessage': return this.onReturn(message);
      case 'await recall, ProceedMessage': return this.pay();
      case 'await outcome, OutcomeMessage': return this.onOutcome(message);
      case 'await pong, PongMessage': return this.onPong(message);
      case 'await pong, RefuseMessage':
      case 'await request, RefuseMessage':
      case 'await proceed, RefuseMessage':
      case 'await recall, RefuseMessage':
      case 'await outcome, RefuseMessage': return this.end(this.notPaid(), nameOf(message.code));     // §9-2
      default: return refuse('UNEXPECTED_MESSAGE', `${this.state}, ${name}`);
    }
  }

  open(hello, welcome) {
    const { suite, scheme } = this.wallet;
    this.channel = new Channel({ suite, scheme, initiator: this.initiator, mine: this.ephemeral, hello,
      helloFrame: this.helloFrame, welcome });
    this.peerWants = (this.initiator ? welcome : hello).want;
    this.state = 'await request';
  }

  onHello(hello, frame) {
    checkHello(hello, this.wallet.scheme, PAY);
    const welcome = welcomeOf(this.wallet.suite.ephemeralPublic(this.ephemeral), this.want);
    this.helloFrame = frame;
    this.open(hello, welcome);
    this.sendClear(encodeMessage('Welcome', welcome));
  }

  onWelcome(welcome) {
    checkWelcome(welcome, this.hello, PAY);
    this.open(this.hello, welcome);
    return this.frame(welcome.sealed);                        // §6-1
  }

  // ---- who asks ------------------------------------------------------------------------------------------------

  /** §11.3-2: what is new of the scheme is kept; then the peer's signature over this session (§6-11). */
  verifyPeer(kind, body, { certificate, signature, authorities }) {
    const { wallet } = this;
    const trust = wallet.trust.copy();
    const fresh = authorities.filter((a) => trust.takeAuthority(a));    // §7-5, §7-7
    if (fresh.length && wallet.room(2048)) {                  // §12-10: only where there is room
      this.persist([{ record: 'News', news: { certificate: null, authorities: fresh, header: null, policy: null } }]);
    } else if (fresh.length) wallet.trust = trust;
    if (certificate.key.equals(wallet.key)) refuse('SELF_PAYMENT');
    trust.genuine(certificate);
    const signed = { session: this.channel.th, initiator: !this.initiator, ...body };
    const id = idOf(wallet.scheme, kind, certificate.key, bodyHash(kind, signed));
    wallet.suite.verify(certificate.key, id, signature);
    this.certificate = certificate;
    this.proved.push(certificate.key);
    this.peerEpoch = Math.max(this.peerEpoch, body.epoch);
    return id;
  }

  onRequest(m) {
    const { prove, signature, certificate, authorities, news, ...body } = m;   // §21-1: it takes no part in news
    this.requestId = this.verifyPeer(KINDS.REQUEST, body, m);
    this.request = body;
    return prove ? this.present() : this.goOn();
  }

  onPresent(m) {
    this.verifyPeer(KINDS.PRESENT, { epoch: m.epoch }, m);
    return m.prove ? this.present() : this.goOn();
  }

  present() {                                                 // §11.3-3
    const { trust } = this.wallet;
    this.presentEpoch = trust.date;
    this.sign('PRESENT', { session: this.channel.th, initiator: this.initiator, epoch: trust.date });
    this.state = 'sign present';
  }

  presented(signature) {
    const { certificate } = this.wallet;
    this.send('PresentMessage', { prove: false, epoch: this.presentEpoch, signature, certificate,
      authorities: this.chainOf([certificate]), news: 0 });
    this.state = 'await proceed';
  }

  chainOf(things) { return this.peerWants & AUTHORITIES ? this.wallet.trust.chains(things) : []; }      // §7-4

  // ---- healing, then paying ------------------------------------------------------------------------------------

  /** §11.3-4, §11.4-1, §11.4-2: all that is pending to this key, oldest first, before anything else. */
  goOn() {
    const { wallet } = this;
    const next = wallet.pending.find((id) => this.proved.some((key) => this.payeeOf(id).equals(key)));
    if (next) return this.show(next);
    const recalled = this.recalls();
    if (!recalled.size) return this.pay();
    const role = Buffer.from([this.initiator ? 1 : 0]);
    const digest = (id) => H(Buffer.from('dualtap recall 1'), this.channel.th, role, this.payeeOf(id),
      wallet.sent.get(hex(id)).statement.shown.request);
    this.send('RecallMessage', { digests: [...recalled.values()].map(digest) });
    this.recalled = recalled;
    this.state = 'await recall';
  }

  payeeOf(id) { return this.wallet.sent.get(hex(id)).statement.body.payee; }

  /** §20.1-1, §20.1-2: by key, the oldest transfer in doubt to it. */
  recalls() {
    const found = new Map();
    for (const id of this.wallet.pending) {
      const payee = hex(this.payeeOf(id));
      const asks = this.wallet.sent.get(hex(id)).statement.shown.request.length;
      const known = found.has(payee) || this.proved.some((key) => hex(key) === payee);
      if (asks && !known && found.size < RECALLS) found.set(payee, id);
    }
    return found;
  }

  onRecall() {                                                // §20.1-4: this card has had no other key
    if (this.inVain) refuse('UNEXPECTED_MESSAGE', 'recalled in vain');
    this.inVain = true;
    return this.goOn();
  }

  onReturn(m) {                                               // §20.1-5
    const { key } = m.certificate;
    const next = this.recalled.get(hex(key));
    if (!next) refuse('UNEXPECTED_MESSAGE', 'a key that was not recalled');
    const { certificate } = this;
    this.verifyPeer(KINDS.PRESENT, { epoch: m.epoch }, m);
    this.certificate = certificate;                           // §20.1-7
    return this.show(next);
  }

  show(next) {
    const { statement } = this.wallet.sent.get(hex(next));
    this.shown = next;
    this.fresh = false;
    this.send('TransferMessage', this.resumed(statement));
    this.state = 'await outcome';
  }

  pay() {
    if (!this.request || this.healedPart) return this.done(); // §11.3-1, §11.4-7
    this.check();                                             // §8.4-3: before anybody is asked
    return this.far() ? this.measure() : this.ask();
  }

  /** §24-1: whether a timed round is due, and still to be made. */
  far() {
    const { trust, certificate } = this.wallet;
    return !this.near && this.request.amount > trust.tier(certificate.tier).untimed;
  }

  measure() {                                                 // §24-2
    this.rounds += 1;
    this.nonce = this.random(8);
    this.sent = this.now();
    this.send('PingMessage', { nonce: this.nonce });
    this.state = 'await pong';
  }

  onPong({ nonce }) {                                         // §24-3, §24-4
    if (!nonce.equals(this.nonce)) refuse('UNEXPECTED_MESSAGE', 'a Pong to another Ping');
    const took = this.now() - this.sent;
    this.near = took >= 0 && took <= this.within;
    if (this.near) return this.ask();
    if (this.rounds < PINGS) return this.measure();
    this.send('RefuseMessage', { code: numberOf('TOO_FAR') });
    return this.end('not_paid', 'TOO_FAR');
  }

  ask() {
    const { amount, currency } = this.request;
    this.effects.push({ do: 'ask', amount, currency, payee: this.certificate.key, certificate: this.certificate,
      verification: this.needed });
    this.state = 'await consent';                             // §11.3-9
  }

  done() {
    this.send('DoneMessage', {});
    this.state = 'ended';
    this.report('done', this.asked(), 'BASKET_PAID');
  }

  get terms() {
    const { certificate, today, wallet } = this;
    return { certificate, now: today, date: wallet.trust.date, keyLength: wallet.suite.keyLength };
  }

  /** §22-5: the least verification with which this may be paid. */
  get needed() {
    const { amount, verification } = this.request;
    const { unverified } = this.wallet.trust.tier(this.wallet.certificate.tier);
    const over = unverified < AMOUNT && this.wallet.unverified() + amount > unverified;
    return over ? Math.max(verification, PIN) : verification;
  }

  /** §11.3-5 to §11.3-7, in this order; gives spans that would do, in a message that fits. */
  check() {
    const { wallet, certificate, request } = this;
    const { trust } = wallet;
    trust.inForce(certificate, this.today);
    if (trust.hotlisted(certificate.key)) refuse('HOTLISTED');
    const may = certificate.role & ROLE_COLLECT && wallet.certificate.role & ROLE_PAY;
    if (!may) refuse('WRONG_CERTIFICATE');                    // §7-18
    if (!request.amount) refuse('ZERO_AMOUNT');
    if (request.epoch > trust.date + EPOCH_STEP) refuse('EPOCH_AHEAD');
    const currencies = [...wallet.tokens.values()].map((t) => t.currency);
    if (currencies.length && !currencies.includes(request.currency)) refuse('WRONG_CURRENCY');
    const tier = trust.tier(wallet.certificate.tier);         // §7-21
    if (!tier || request.amount > tier.payment || wallet.payments >= tier.payments) refuse('OVER_LIMIT');
    if (tier.day < AMOUNT && wallet.paidOn(trust.date) + request.amount > tier.day) refuse('OVER_LIMIT'); // §22-1
    if (this.far() && (this.within === null || !this.now())) refuse('OVER_LIMIT');             // §24-5
    if (wallet.paid(certificate.key, request.basket, request.part)) refuse('BASKET_PAID');     // §11.4-8
    if (!wallet.room(1024)) refuse('STORE_FULL');             // §12-8
    if (this.order.refund_of && this.order.refund_of.length) refuse('NOT_A_REFUND');          // it has received nothing
    if (this.order.amount && this.order.amount !== request.amount) refuse('WRONG_AMOUNT');
    return choose(wallet, request, this.terms, (spans) => this.fits(spans));
  }

  /** §8.4-3, §8.1-5: the message as it may ever have to be shown: sealed, as a Resume, with the header. */
  fits(spans) {
    const body = this.body(spans);
    const shown = { seed: Buffer.alloc(16), prev: this.wallet.ctr, ctr: this.wallet.ctr + 4n,
      private: { verification: 0, refund_of: EMPTY }, request: this.requestId };
    const message = this.message({ body, shown, signature: Buffer.alloc(64) }, this.requestId, true);
    const longest = encodeMessage('TransferMessage', message);
    return message.bundle.transfers.length <= 64 && longest.length + TAG <= this.request.size;
  }

  body(spans) {
    return { payee: this.certificate.key, spans, epoch: this.wallet.trust.date,               // §4.1-7
      witness: witnessOf(this.wallet, spans, this.terms) };
  }

  message({ body, shown, signature }, request, dated = false) {
    const { wallet } = this;
    const { header: latest } = wallet.trust;
    const header = latest && (dated || latest.epoch > this.peerEpoch) ? latest : null;
    const { spans, bundle } = compact(wallet, body.spans);
    return {
      request, spans, epoch: body.epoch, witness: body.witness, seed: shown.seed, prev: shown.prev, ctr: shown.ctr,
      verification: shown.private.verification, refund_of: shown.private.refund_of, signature, bundle,
      header,
      authorities: this.chainOf([...bundle.certificates, ...bundle.tokens,
        ...(body.witness.length ? [this.certificate] : []), ...(header ? [header] : [])]),             // §7-26
      news: false,
    };
  }

  /** §11.4-9: a Resume goes without authorities where it, or their list, would be too long with them. */
  resumed(statement) {
    const message = this.message(statement, statement.shown.request);
    const most = this.request ? this.request.size : CARD_MESSAGE;
    const many = message.authorities.length > 8;
    const long = many || encodeMessage('TransferMessage', message).length + TAG > most;
    return long ? { ...message, authorities: [] } : message;
  }

  /** §11.3-8, §11.3-10: the checks again, then durable, then signed. */
  consent({ verification, spans, seed, ctr }) {
    const { wallet } = this;
    if (wallet.tail && !wallet.tail.signed) refuse('KEYSTORE_REFUSED', 'an unsigned tail');    // §12-5
    const given = spans && spans.length;
    const own = this.check();
    if (verification < this.needed) refuse('UNVERIFIED');     // §22-6
    const chosen = given ? spans : own;
    const open = payable(wallet, this.request, this.terms);
    const inside = (s) => open.some((h) => sameParent(h.parent, s.parent) && h.start <= s.start && s.end <= h.end);
    if (!chosen.every(inside) || sum(chosen) !== this.request.amount) refuse('BAD_INPUT', 'spans');
    if (!this.fits(chosen)) refuse('TOO_LARGE');              // §8.1-5
    if (!seed || !(ctr > wallet.ctr)) refuse('BAD_INPUT', 'place');
    const shown = { seed, prev: wallet.ctr, ctr, private: { verification, refund_of: EMPTY }, request: this.requestId };
    const statement = { kind: KINDS.TRANSFER, key: wallet.key, body: this.body(chosen), shown, signature: EMPTY };
    const { basket, part } = this.request;
    this.persist([{ record: 'Sent', transfer: statement, basket, part }]);
    this.shown = this.sign('TRANSFER', statement.body, shown);
    this.fresh = true;
    this.state = 'sign transfer';
  }

  transferred(signature) {
    this.wallet.signed(signature);
    const { statement } = this.wallet.sent.get(hex(this.shown));
    this.send('TransferMessage', this.message(statement, EMPTY));
    this.state = 'await outcome';
  }

  /** §11.3-12: verified by the payee's key, then durable, then reported. */
  onOutcome(m) {
    const { wallet, shown } = this;
    const { statement, basket, part } = wallet.sent.get(hex(shown));
    const { payee } = statement.body;
    if (m.ctr <= m.prev) refuse('MALFORMED', 'place');        // §4.2-1
    const receipt = m.kind === KINDS.RECEIPT;
    const { request } = statement.shown;
    const body = receipt ? { request, transfer: m.transfer.length ? m.transfer : shown, epoch: m.epoch }
      : { request, reason: m.reason, epoch: m.epoch };
    const outcome = { kind: m.kind, key: payee, body, shown: bare(m), signature: m.signature };
    wallet.suite.verify(payee, statementId(wallet.scheme, outcome), m.signature);
    this.persist([{ record: 'Healed', transfer: shown, outcome }]);
    if (m.header) this.takeHeader(m.header);
    const paid = accepts(outcome, shown);
    const about = this.about(shown);
    this.shown = null;
    if (this.fresh) {
      this.state = 'ended';
      return this.report(paid ? 'paid' : 'not_paid', about, paid ? null : receipt ? 'BASKET_PAID' : nameOf(m.reason));
    }
    const { request: asked } = this;
    if (paid && asked && basket.equals(asked.basket) && part === asked.part) this.healedPart = true;
    this.report(paid ? 'healed_paid' : 'healed_restored', about);
    return this.goOn();
  }

  /** §7-10, §11.3-13: a later date, if it is proved and near enough; the outcome beside it stands without. */
  takeHeader(header) {
    const { wallet } = this;
    try {
      if (!wallet.trust.copy().takeHeader(header, true) || !wallet.room(2048)) return;
    } catch (e) {
      if (e instanceof Refusal) return;
      throw e;
    }
    this.persist([{ record: 'News', news: { certificate: null, authorities: [], header, policy: null } }]);
  }
}

module.exports = { Payer, ZERO };
