'use strict';
// The card on TCP: each frame after its length (4 bytes, big-endian; vectors/README), one tap a connection.
//   node card.js SETUP.json PORT [--store FILE]            it answers, and prints the port that it listens on
//   node card.js SETUP.json --pay HOST:PORT [--store FILE] it begins one tap, and prints how that ended, and its books
//   node card.js SETUP.json --books --store FILE           it prints its books: what it holds, paid, and has in doubt
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const { Wallet, FileLog } = require('./store');
const { Keystore } = require('./keystore');
const { Payer } = require('./payer');
const { KINDS } = require('./statements');
const { answer } = require('./port');
const { Refusal } = require('./errors');

const COUNTER_STEP = 4;                                       // §4.1-6
const NEAR = 0.05;                                            // §24-3: seconds, on TCP
const now = () => 1 + performance.now() / 1000;               // §24-5: a watch, that tells no date
const PRESENCE = 1;                                           // Verification: somebody held the card there
const LONGEST = 1 << 20;                                      // of a question at the test port

class Card {
  constructor(setup, store) {
    this.setup = setup;
    this.store = store;
    this.open();
    this.busy = false;
  }

  /** §12: the log is read again; what was not durable never was. An unsigned entry is signed first (§12-5 to -7). */
  open() {
    this.wallet = new Wallet(this.setup, this.store ? new FileLog(this.store) : undefined);
    const { suite, scheme } = this.wallet;
    const cell = this.store ? `${this.store}.cell` : null;
    this.keystore = this.keystore || new Keystore(suite, scheme, Buffer.from(this.setup.private, 'hex'), cell);
    this.wallet.finish(this.keystore);
  }

  /** One tap over a socket; gives the reports. `done` when it has ended. */
  tap(socket, initiator, first, done) {
    this.wallet.finish(this.keystore);                        // §12-5
    const payer = new Payer(this.wallet, { initiator, ephemeral: this.wallet.suite.newPrivate(), now, within: NEAR });
    const reports = [];
    let over = false;
    const give = (event) => {
      if (payer.state === 'ended') return;
      try {
        this.carryOut(payer.handle(event).effects, socket, reports).forEach(give);
      } catch (e) {                                           // the keystore refused: whatever is pending stays so
        if (!(e instanceof Refusal)) throw e;
        give({ on: 'stop', code: e.code });
      }
      if (payer.state === 'ended' && !over) {
        over = true;
        socket.end();
        done(reports);
      }
    };
    give({ on: 'begin' });
    if (first) give({ on: 'frame', frame: first });
    return { frame: (frame) => give({ on: 'frame', frame }), lost: () => give({ on: 'stop', code: 'LINK_LOST' }) };
  }

  /** §11.1-1: the effects in their order; gives the events that the card itself answers with. */
  carryOut(effects, socket, reports) {
    const events = [];
    for (const e of effects) {
      if (e.do === 'send') send(socket, e.frame);
      else if (e.do === 'sign') {
        events.push({ on: 'signed', signature: this.keystore.sign(KINDS[e.kind], e.hash, e.opening) });
      }
      else if (e.do === 'ask') events.push(this.consent());
      else if (e.do === 'report') {
        reports.push({ result: e.result, amount: e.amount, currency: e.currency, code: e.code,
          transfer: e.transfer.toString('hex') });
      }
    }
    return events;
  }

  /** §10.1-8: the tap is the intent; the tier's `payment` was checked. */
  consent() {
    return { on: 'consent', verification: PRESENCE, seed: crypto.randomBytes(16),
      ctr: this.wallet.ctr + BigInt(crypto.randomInt(1, COUNTER_STEP + 1)) };
  }
}

function send(socket, frame) {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(frame.length);
  socket.write(Buffer.concat([size, frame]));
}

/** Calls back for every frame; what is longer than anything taken is given up unread (§5.1-2). */
function frames(socket, onFrame) {
  let have = Buffer.alloc(0);
  socket.on('data', (data) => {
    have = Buffer.concat([have, data]);
    while (have.length >= 4) {
      const n = have.readUInt32BE();
      if (n > LONGEST) { socket.destroy(); return; }
      if (have.length < 4 + n) return;
      const frame = have.subarray(4, 4 + n);
      have = have.subarray(4 + n);
      onFrame(frame);
    }
  });
}

function ask(socket, frame) {
  try {
    const question = JSON.parse(frame.toString());
    send(socket, Buffer.from(JSON.stringify({ tcId: question.tcId, out: answer(question) })));
  } catch (e) { console.error(e); socket.destroy(); }
}

function serve(card, port) {
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    let tap = null;
    frames(socket, (frame) => {
      if (!tap && frame[0] === 0x7b) ask(socket, frame);      // "{": the test port
      else if (tap) tap.frame(frame);
      else if (card.busy) socket.destroy();                   // one tap at a time
      else {
        card.busy = true;
        tap = card.tap(socket, false, frame, () => { card.busy = false; });
      }
    });
    socket.on('close', () => { if (tap) { tap.lost(); card.busy = false; } });
    socket.on('error', () => {});
  });
  server.listen(port, '127.0.0.1', () => console.log(server.address().port));
}

function pay(card, address) {
  const at = address.lastIndexOf(':');
  const socket = net.connect(+address.slice(at + 1), address.slice(0, at), () => {
    socket.setNoDelay(true);
    const tap = card.tap(socket, true, null, (reports) => {
      console.log(JSON.stringify({ reports, books: card.wallet.books() }));
      socket.destroySoon();
    });
    frames(socket, (frame) => tap.frame(frame));
    socket.on('close', () => tap.lost());
  });
  socket.on('error', (e) => console.error(e.message));
}

if (require.main === module) {
  const args = process.argv.slice(2);
  const option = (name) => { const i = args.indexOf(name); return i < 0 ? null : args.splice(i, 2)[1]; };
  const [store, till] = [option('--store'), option('--pay')];
  const card = new Card(JSON.parse(fs.readFileSync(args[0], 'utf8')), store);
  if (till) pay(card, till);
  else if (args.includes('--books')) console.log(JSON.stringify(card.wallet.books()));
  else serve(card, +args[1]);
}

module.exports = { Card };
