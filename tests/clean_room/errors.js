'use strict';
// §9: the errors, their numbers and whose fault they are.
const TABLE = `10 LINK_LOST link|11 TIMEOUT link|12 TOO_FAR link|20 TOO_LARGE peer|21 MALFORMED peer
|22 NOT_CANONICAL peer
|23 UNKNOWN_MESSAGE peer|24 UNEXPECTED_MESSAGE peer|25 ENDED me|30 WRONG_SCHEME peer|31 WRONG_VERSION peer
|32 WRONG_ROLE peer|33 BAD_KEY peer|34 BAD_SEAL peer|40 UNKNOWN_ISSUER peer|41 BAD_SIGNATURE peer
|42 WRONG_CERTIFICATE peer|43 CERTIFICATE_EXPIRED peer|44 HOTLISTED peer|45 EPOCH_AHEAD peer|46 EPOCH_BACKWARDS peer
|47 FROZEN me|48 NOT_BOUND me|49 BOUND me
|50 REPLAYED_REQUEST peer|51 SELF_PAYMENT me|52 ZERO_AMOUNT peer|53 WRONG_CURRENCY peer|54 OVER_LIMIT me
|55 UNKNOWN_REQUEST me|56 BASKET_PAID me|57 BASKET_WAITS me|58 NOT_A_REFUND me|59 UNVERIFIED me
|60 NOT_OWNER peer|61 SPANS_OVERLAP peer|62 SPAN_OUTSIDE peer|63 WRONG_AMOUNT peer|64 TOKEN_EXPIRED peer
|65 UNKNOWN_CONDITION peer
|66 TOO_MANY_HOPS peer|67 TOO_MANY_WARRANTS peer|68 BROKEN_PROVENANCE peer|69 DOUBLE_SPENT peer|70 TAPE_FORKED peer
|71 CONDITION_UNMET peer|80 INSUFFICIENT me|81 DECLINED me|82 STORE_FULL me|83 STORE_FAILED me|84 QUARANTINED me
|85 KEYSTORE_REFUSED me|86 IN_USE me|87 PIN_WRONG me|88 PIN_BLOCKED me|89 RETIRED me
|90 NOT_EVIDENCE peer|91 LEDGER_CORRUPT scheme|92 ISSUER_UNREACHABLE scheme
|93 BAD_INPUT me|94 QUOTA_USED scheme|95 NOT_ATTESTED me`;

const byNumber = new Map();
const byName = new Map();
for (const row of TABLE.split('|')) {
  const [number, name, fault] = row.trim().split(' ');
  byNumber.set(+number, { name, fault });
  byName.set(name, +number);
}

/** Whatever this card refuses: an error with a name of §9. */
class Refusal extends Error {
  constructor(name, why = '') {
    super(why ? `${name}: ${why}` : name);
    this.code = name;
  }
}

const refuse = (name, why) => { throw new Refusal(name, why); };
/** §9-2: an unknown number stays a number. */
const nameOf = (number) => (byNumber.has(number) ? byNumber.get(number).name : number);
const numberOf = (name) => (typeof name === 'number' ? name : byName.get(name));

module.exports = { Refusal, refuse, nameOf, numberOf, byNumber };
