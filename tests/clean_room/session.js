'use strict';
// §6: the handshake and the channel.
const { H, hkdf } = require('./suite');
const { pack } = require('./msgpack');
const { encodeMessage } = require('./wire');
const { refuse } = require('./errors');

const VERSION = 1;
const COLLECT = 1, PAY = 2, AUTHORITIES = 8;

const sole = (want) => want & (COLLECT | PAY);

/** §6-6, §6-7, §6-8: the responder's checks of a Hello. */
function checkHello(hello, scheme, part) {
  if (!hello.scheme.equals(scheme.subarray(0, 4))) refuse('WRONG_SCHEME');
  if (!hello.versions.includes(VERSION)) refuse('WRONG_VERSION');
  if (sole(hello.want) !== (COLLECT | PAY) - part) refuse('WRONG_ROLE');
}

/** §6-7, §6-8, §6-9: the initiator's checks of a Welcome. */
function checkWelcome(welcome, hello, part) {
  if (!hello.versions.includes(welcome.version)) refuse('WRONG_VERSION');
  if (sole(welcome.want) !== (COLLECT | PAY) - part) refuse('WRONG_ROLE');
  if ((welcome.sealed.length > 0) !== (sole(welcome.want) === COLLECT)) refuse('MALFORMED', 'sealed');
}

/** §6-2: one channel, from either side; `mine` is the private half of one's ephemeral key. */
class Channel {
  constructor({ suite, scheme, initiator, mine, hello, helloFrame, welcome }) {
    const peer = initiator ? welcome.ephemeral : hello.ephemeral;
    const head = pack([welcome.version, welcome.ephemeral, welcome.want]);
    this.th = H(Buffer.from('dualtap tap 1'), scheme, H(helloFrame), head);
    const n = suite.sealKey;
    const keys = hkdf(suite.agree(mine, peer), this.th, 'dualtap keys 1', 2 * n);
    const [first, second] = [keys.subarray(0, n), keys.subarray(n)];
    this.suite = suite;
    this.sending = { key: initiator ? first : second, count: 0 };
    this.receiving = { key: initiator ? second : first, count: 0 };
  }

  static nonce(side) {
    const nonce = Buffer.alloc(12);
    nonce.writeUIntBE(side.count++, 6, 6);
    return nonce;
  }

  seal(plain) { return this.suite.seal(this.sending.key, Channel.nonce(this.sending), plain); }
  open(frame) { return this.suite.open(this.receiving.key, Channel.nonce(this.receiving), frame); }
}

const helloOf = (scheme, ephemeral, want) => ({ scheme: scheme.subarray(0, 4), versions: [VERSION], ephemeral, want });
const welcomeOf = (ephemeral, want) => ({ version: VERSION, ephemeral, want, sealed: Buffer.alloc(0) });

module.exports = { Channel, checkHello, checkWelcome, helloOf, welcomeOf, encodeMessage, COLLECT, PAY, AUTHORITIES };
