'use strict';
// §7: what the scheme says, and who may say it.
const { H } = require('./suite');
const { KINDS, schemeId, idOf, issuedHash } = require('./statements');
const { refuse } = require('./errors');

const INSTITUTION = 1, BANK = 2, POLICY = 3;
const ROOT = 0;
const EPOCH_STEP = 400;
const hintOf = (key) => H(key).subarray(0, 4).toString('hex');
const hex = (b) => b.toString('hex');

class Trust {
  constructor(suite, root) {
    Object.assign(this, { suite, root, scheme: schemeId(suite, root) });
    Object.assign(this, { authorities: new Map(), header: null, policy: null });
  }

  /** A copy, so that all or none of a message's news is kept (§7-7). */
  copy() {
    return Object.assign(Object.create(Trust.prototype), this, { authorities: new Map(this.authorities) });
  }

  get date() { return this.header ? this.header.epoch : 0; }                  // §7-9

  /** §7-2: the signer behind a hint, who must be of one of these kinds (§7-1). The root signs authorities alone. */
  signer(hint, kinds, root = false) {
    const known = root && hex(hint) === hintOf(this.root) ? { key: this.root, authority: ROOT }
      : this.authorities.get(hex(hint));
    if (!known) refuse('UNKNOWN_ISSUER');
    if (!kinds.includes(known.authority)) refuse('WRONG_CERTIFICATE');
    return known;
  }

  verify(kind, name, it, signer) {
    this.suite.verify(signer.key, idOf(this.scheme, kind, signer.key, issuedHash(name, it)), it.signature);
  }

  /** §7-1, §7-5, §7-6, §7-8: one authority's certificate; true if it is new. */
  takeAuthority(cert) {
    const signer = this.signer(cert.issuer, cert.authority === BANK ? [INSTITUTION] : [ROOT], true);
    this.suite.checkKey(cert.key);
    this.verify(KINDS.AUTHORITY, 'AuthorityCertificate', cert, signer);
    const hint = hintOf(cert.key);
    const known = hint === hintOf(this.root) ? { key: this.root, expires: Infinity } : this.authorities.get(hint);
    if (known && !known.key.equals(cert.key)) refuse('WRONG_CERTIFICATE', 'a second key with this hint');
    if (known && known.expires >= cert.expires) return false;
    this.authorities.set(hint, cert);
    return true;
  }

  /** §7-9, §7-10, §7-11: true if the date moves. */
  takeHeader(header, inTap) {
    const signer = this.signer(header.issuer, [POLICY]);
    this.verify(KINDS.HEADER, 'Header', header, signer);
    if (signer.expires < header.epoch) refuse('CERTIFICATE_EXPIRED');
    if (inTap && header.epoch > this.date + EPOCH_STEP) refuse('EPOCH_AHEAD');
    if (this.header && header.epoch <= this.header.epoch) return false;
    this.header = header;
    return true;
  }

  takePolicy(policy) {                                                        // §7-19
    this.verify(KINDS.POLICY, 'Policy', policy, this.signer(policy.issuer, [POLICY]));
    if (!this.policy || policy.version > this.policy.version) this.policy = policy;
  }

  /** §7-1, §7-17: a wallet's certificate is genuine, whatever the date. */
  genuine(cert) {
    const signer = this.signer(cert.issuer, [INSTITUTION, BANK]);
    this.suite.checkKey(cert.key);
    this.verify(KINDS.WALLET, 'WalletCertificate', cert, signer);
  }

  /** §7-14, §7-16: it and all above it are valid through this epoch. */
  inForce(cert, epoch) {
    for (const one of [cert, ...this.chain(cert)]) if (one.expires < epoch) refuse('CERTIFICATE_EXPIRED');
  }

  /** The authorities above what names this issuer, issuers first. */
  chain({ issuer }) {
    const known = this.authorities.get(hex(issuer));
    return known ? [...this.chain(known), known] : [];
  }

  /** §7-4: the chains of several things, each authority once. */
  chains(things) { return [...new Set(things.flatMap((t) => this.chain(t)))]; }

  /** §7-3, §7-25 */
  asks(certificate, today) {
    const lacks = !!this.policy && this.policy.authorities.some((h) => !this.authorities.has(hex(h)));
    return lacks || this.chains([certificate, ...(this.header ? [this.header] : [])]).some((a) => a.expires < today);
  }

  tier(number) { return this.policy && this.policy.tiers.find((t) => t.number === number); }
  hotlisted(key) { return !!this.policy && this.policy.hotlist.some((k) => k.equals(key)); }
  institution(hint) { return this.signer(hint, [INSTITUTION]); }
  verifyToken(token) { this.verify(KINDS.TOKEN, 'Token', token, this.institution(token.issuer)); }
  tokenId(token) {
    return idOf(this.scheme, KINDS.TOKEN, this.institution(token.issuer).key, issuedHash('Token', token));
  }
}

module.exports = { Trust, EPOCH_STEP };
