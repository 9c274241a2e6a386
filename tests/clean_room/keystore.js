'use strict';
// §13: one private key and one cell (ctr, id). In memory, or the cell in a file that survives a cut at any instant.
const fs = require('node:fs');
const { idOf, commitmentOfTape } = require('./statements');
const { onTape } = require('./wire');
const { pack, unpack } = require('./msgpack');
const { H } = require('./suite');
const { refuse } = require('./errors');

const OFF_TAPE = [16, 17, 18, 19, 20, 21, 22, 23];            // §13-6
const PIN = 2;
const NOTHING = { ctr: 0n, id: Buffer.alloc(0), successor: Buffer.alloc(0) };
const SUCCESSOR = 19, RETIRED = [17, 18];                     // §20-1, §20-2

class Keystore {
  constructor(suite, scheme, secret, file = null) {
    Object.assign(this, { suite, scheme, secret, file, key: suite.publicKey(secret), cell: NOTHING });
    if (file && fs.existsSync(file)) {
      const [ctr, id, successor] = unpack(fs.readFileSync(file), 3);
      this.cell = { ctr: BigInt(ctr), id, successor };
    }
  }

  /** §13-2 to §13-5: the id that it would sign; the cell is written first. */
  tapeId(kind, hash, opening) {
    const { salt, prev, ctr, private: half, request, half: shown } = opening || {};
    if (!onTape(kind) || ![32, 33, 34].includes(kind)) refuse('KEYSTORE_REFUSED', 'kind');
    if ([hash, salt, half, request].some((b) => !b || b.length !== 32)) refuse('KEYSTORE_REFUSED', 'length');
    if (![1, 33].includes(shown.length) || !H(shown).equals(half)) refuse('KEYSTORE_REFUSED', 'half'); // §13-10
    const id = idOf(this.scheme, kind, this.key, hash, commitmentOfTape(opening));
    if (id.equals(this.cell.id)) return id;
    const pays = kind === 32 && !request.equals(Buffer.alloc(32));
    if (this.cell.successor.length && pays) refuse('RETIRED');
    if (!(this.cell.ctr <= prev && prev < ctr)) refuse('KEYSTORE_REFUSED', 'counter');
    if (kind === 32 && shown[0] >= PIN) refuse('UNVERIFIED');  // §22-13: this keystore has no PIN
    this.write({ ...this.cell, ctr, id });
    return id;
  }

  id(kind, hash) {                                            // §13-6
    if (!OFF_TAPE.includes(kind) || hash.length !== 32) refuse('KEYSTORE_REFUSED');
    const id = idOf(this.scheme, kind, this.key, hash);
    const { successor } = this.cell;
    if (kind === SUCCESSOR && !successor.length) this.write({ ...this.cell, successor: id });
    else if (successor.length && !RETIRED.includes(kind) && !id.equals(successor)) refuse('RETIRED');
    return id;
  }

  sign(kind, hash, opening = null) {
    return this.suite.sign(this.secret, opening ? this.tapeId(kind, hash, opening) : this.id(kind, hash));
  }

  write(cell) {
    if (this.file) {
      const fd = fs.openSync(`${this.file}.new`, 'w');
      try {
        fs.writeSync(fd, pack([cell.ctr, cell.id, cell.successor]));
        fs.fsyncSync(fd);
      } finally { fs.closeSync(fd); }
      fs.renameSync(`${this.file}.new`, this.file);
      syncFolder(this.file);
    }
    this.cell = cell;
  }
}

function syncFolder(file) {
  const fd = fs.openSync(require('node:path').dirname(file), 'r');
  try { fs.fsyncSync(fd); } finally { fs.closeSync(fd); }
}

module.exports = { Keystore, syncFolder };
