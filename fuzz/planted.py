"""Plant bugs, one by one, in a copy of the code, and see that the fuzzer finds each: ``python fuzz/planted.py``.

A target that finds nothing is trusted only after this. The table of what it printed is in fuzz/README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PARTS = ("protocol", "transports", "devices", "issuer", "apps", "fuzz")
CODE, LINKS, DEVICES = "protocol/dualtap", "transports/dualtap_transports", "devices/dualtap_devices"
ISSUER = "issuer/dualtap_issuer"


class Bug(NamedTuple):
    """A line that is replaced by another, which the target must notice within so many executions."""

    target: str
    what: str
    file: str
    old: str
    new: str
    runs: int = 20_000


BUGS = (
    Bug("wire", "what is not canonical is read", f"{CODE}/codec.py", "    if pack(value) != data:", "    if False:"),
    Bug("wire", "bytes of any length pass for a digest", f"{CODE}/codec.py",
        "if type(value) is not bytes or len(value) not in sizes:", "if type(value) is not bytes:"),
    Bug("wire", "an unknown value of an enumeration raises ValueError", f"{CODE}/codec.py",
        "        found = members.get(value) if type(value) is int else None", "        found = kind(value)"),
    Bug("wire", "a missing item raises IndexError", f"{CODE}/codec.py",
        "        if len(items) != count:\n            raise malformed(f\"not {count} items\")\n        return make(*map(_apply, fields, items))",
        "        return make(*[_apply(fields[n], items[n]) for n in range(count)])"),
    Bug("frames", "a stream's length is not bounded", f"{LINKS}/framing.py", "        if length > limits.MESSAGE:",
        "        if length > 2 * limits.MESSAGE:"),
    Bug("frames", "chunks may come out of order", f"{LINKS}/chunks.py",
        "if chunk[0] % SEQUENCES != self._next:", "if chunk[0] % SEQUENCES < self._next:"),
    Bug("frames", "the last chunk may be too short", f"{LINKS}/chunks.py",
        "        if have >= self._total if more else have != self._total:", "        if have >= self._total if more else have > self._total:"),
    Bug("frames", "a failed joiner goes on", f"{LINKS}/chunks.py",
        "                self._failed = error.code, error.detail\n        raise", "                raise\n        raise"),
    Bug("frames", "grants beyond the window are taken", f"{LINKS}/gatt.py", "            if self.room + GRANTED > WINDOW:", "            if False:"),
    Bug("frames", "an empty block raises IndexError", f"{LINKS}/iso_dep.py", "        if not data:\n            return Say(None)\n", ""),
    Bug("apdu", "an answer that was lost is not said again", f"{LINKS}/apdu_card.py",
        "            return None if self._pending is not None else self._memory",
        "            return None if self._pending is not None else self._answer(command, Status.OK)"),
    Bug("apdu", "a reader takes an answer to another command", f"{LINKS}/apdu_reader.py", "            if body[:COUNTER] != wanted:", "            if not body:"),
    Bug("apdu", "no bound on the frames that wait", f"{LINKS}/apdu_card.py", "weight(self._inbox) >= ROOM:", "weight(self._inbox) >= 9**9:"),
    Bug("apdu", "a reader never gives up", f"{LINKS}/apdu_reader.py", "        for _ in range(ATTEMPTS):\n            answer = yield apdu", "        for _ in range(10**9):\n            answer = yield apdu"),
    Bug("apdu", "the window of SELECT is not checked", f"{LINKS}/apdu.py",
        "    except ValueError as error:\n        raise TapError(Code.MALFORMED, f\"the answer to SELECT: {error}\") from error", "    finally:\n        pass"),
    Bug("handover", "a cut-off NDEF record raises IndexError", f"{LINKS}/ndef.py",
        "    if len(rest) < head:\n        raise TapError(Code.MALFORMED, \"an NDEF record that is cut off\")\n", ""),
    Bug("handover", "an introduction has two forms", f"{LINKS}/handover.py", "    if encode_select(offer) != message:", "    if False:"),
    Bug("handover", "an introduction has two texts", f"{LINKS}/handover.py", "    if to_text(offer) != bare:", "    if False:"),
    Bug("handover", "a tag writes past its file", f"{LINKS}/tag.py", "        if end > ROOM:", "        if end > 9 * ROOM:"),
    Bug("handover", "a reader believes a tag's size", f"{LINKS}/tag.py", "        if not part:", "        if False:"),
    Bug("evidence", "spans that touch pass for a conflict", f"{CODE}/evidence.py",
        "max(a.start, b.start) < min(a.end, b.end)", "max(a.start, b.start) <= min(a.end, b.end)"),
    Bug("evidence", "places that touch pass for a fork", f"{CODE}/evidence.py",
        "max(one.prev, other.prev) < min(one.ctr, other.ctr)", "max(one.prev, other.prev) <= min(one.ctr, other.ctr)"),
    Bug("evidence", "two outcomes need not be of one request", f"{CODE}/verdict.py", "or one.request != other.request:", "or False:"),
    Bug("evidence", "openings are not compared with the entries", f"{CODE}/verdict.py",
        "    if one.commitment() != evidence.first.commitment or other.commitment() != evidence.second.commitment:", "    if False:"),
    Bug("evidence", "statements of two keys", f"{CODE}/verdict.py",
        "if evidence.first.key != evidence.key or evidence.second.key != evidence.key:", "if evidence.second.key != evidence.key:"),
    Bug("evidence", "who is named need not be certified", f"{CODE}/verdict.py", "    if found.certificate.key != found.key:", "    if False:"),
    Bug("provenance", "spans beyond their parent", f"{CODE}/graph.py", "start < end <= origin.end:", "start < end:"),
    Bug("provenance", "a history that spends a unit twice", f"{CODE}/provenance.py",
        "        if any(first.end > second.start for first, second in pairwise(taken)):", "        if False:"),
    Bug("provenance", "spent by another than its owner", f"{CODE}/graph.py", "        if origin.owner != transfer.key:", "        if False:"),
    Bug("provenance", "the amount is not compared", f"{CODE}/outcome.py", "    if amount != asked.amount:", "    if amount < asked.amount:"),
    Bug("provenance", "hops are not counted", f"{CODE}/provenance.py", "    if origin.hops >= min(hops, token.hops):", "    if origin.hops > min(hops, token.hops):"),
    Bug("provenance", "a restored side needs no warrant", f"{CODE}/graph.py",
        "if parent.side is not Side.TOKEN and (parent.side is Side.PAYER) != (parent.id in graph.warrants):",
        "if parent.side is Side.PAYEE and parent.id in graph.warrants:"),
    Bug("provenance", "an index past the end raises IndexError", f"{CODE}/provenance.py",
        "    if index >= len(items):\n        raise TapError(Code.BROKEN_PROVENANCE, \"a reference points nowhere\")\n", ""),
    Bug("provenance", "the transfer's signature is not verified", f"{CODE}/provenance.py",
        "    trust.verify_statement(transfer)\n    check_spans(graph, transfer, trust, Here", "    check_spans(graph, transfer, trust, Here"),
    Bug("tap", "a transfer is signed and then made durable", f"{CODE}/payer.py", "context.persist(sent)\n", "context.book.apply(sent)\n"),
    Bug("tap", "an outcome is not made durable", f"{CODE}/outcome.py", "    context.persist(Answered(outcome, kept), *seen)", "    book.apply(Answered(outcome, kept))"),
    Bug("tap", "any message is taken in any state", f"{CODE}/tap.py",
        "        if move is None:\n            raise TapError(refusal(context.state, on), f\"{on.value} in state {context.state.value}\")\n", ""),
    Bug("tap", "a payment accepted twice from one history", f"{CODE}/provenance.py",
        "            if not seen and overlaps(known.spends.get(parent, []), start, end):\n                raise TapError(Code.DOUBLE_SPENT)\n", ""),
    Bug("store", "a digest is not compared", f"{DEVICES}/slots.py", "    if digest != _digest(found, sequence, payload):", "    if False:"),
    Bug("store", "damage in the middle is not noticed", f"{DEVICES}/slots.py",
        "        if _parse(half, at, first.generation) is not None:", "        if False:"),
    Bug("store", "a mark is not compared with its generation", f"{DEVICES}/slots.py",
        "    if _marked(halves[1 - live]) not in (None, log.generation):", "    if False:"),
    Bug("store", "the older of two halves is taken", f"{DEVICES}/slots.py",
        "newer = int(logs[1].generation > logs[0].generation)", "newer = int(logs[1].generation < logs[0].generation)"),
    Bug("store", "a length past the end is believed", f"{DEVICES}/slots.py", "        if at > len(payload) or start > len(payload):", "        if start > len(payload) + 4:"),
    Bug("store", "a log without its Asked raises KeyError", f"{DEVICES}/wallet.py", "except (TapError, LookupError) as error:", "except TapError as error:"),
    Bug("keystore", "an interval that is taken is signed", f"{CODE}/keystore.py", "    if opening.prev < head.ctr or opening.ctr <= opening.prev:", "    if opening.ctr <= opening.prev:"),
    Bug("keystore", "an empty interval is signed", f"{CODE}/keystore.py", "    if opening.prev < head.ctr or opening.ctr <= opening.prev:", "    if opening.prev < head.ctr or opening.ctr < opening.prev:"),
    Bug("keystore", "a claim of a PIN outlives its transfer", f"{DEVICES}/keystore.py", "pin.without_claim() if kind is Kind.TRANSFER else pin.cell", "pin.cell"),
    Bug("keystore", "the head is not written", f"{DEVICES}/keystore.py", "        if head != before:\n", "        if head != before and head.ctr % 3:\n"),
    Bug("keystore", "a cell of any length is read", f"{DEVICES}/keystore.py", "    if len(cell) not in _CELLS:", "    if False:"),
    Bug("sync", "an upload for another session is taken", f"{ISSUER}/ledger.py", "            if not self.store.take_challenge(item.challenge):", "            if False:"),
    Bug("sync", "a malformed piece raises ValueError", f"{CODE}/pieces.py", "        if not data or (self._left is not None and whole != self._left):", "        if not data:"),
    Bug("sync", "an overdrawn transfer is credited", f"{CODE}/graph.py", "start < end <= origin.end:", "start < end:"),
    Bug("http", "the token is not compared", f"{ISSUER}/service/admin.py", 'if scheme.lower() != "bearer" or not known:', 'if scheme.lower() != "bearer":'),
    Bug("http", "the token is in the refusal", f"{ISSUER}/service/admin.py", '"send the token of this service\'s file", headers', 'f"send {self.token!r}", headers'),
    Bug("http", "what is no JSON raises ValueError", f"{ISSUER}/service/shapes.py", "    except (ValueError, RecursionError):", "    except RecursionError:"),
    Bug("http", "a refused token stays queued", f"{ISSUER}/ledger.py",
        "        with self.store.transaction():\n            self.store.put_delivery(owner, fact.digest)\n",
        "        self.store.put_delivery(owner, fact.digest)\n        with self.store.transaction():\n"),
    Bug("http", "a body has no bound", f"{ISSUER}/service/http.py", "                if size > most:", "                if False:"),
    Bug("http", "a sync that is not open raises KeyError", f"{ISSUER}/service/desk.py", "        session = self._sessions.get(name)", "        session = self._sessions[name]"),
    Bug("http", "a refused Hello has another status than is said", f"{ISSUER}/service/desk.py",
        "            raise Problem.of(error, 400) from error\n        name =", "            raise\n        name ="),
    Bug("http", "what is not there is answered in plain text", f"{ISSUER}/service/problems.py", "HANDLED = (Problem, TapError, HTTPException)", "HANDLED = (Problem, TapError)"),
)  # fmt: skip


def plant(bug: Bug) -> str:
    """Return how many executions it took to find a bug, or ``not found``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "crashes"))
        path = folder / bug.file
        before = path.read_text()
        if before.count(bug.old) != 1:
            return f"the line is there {before.count(bug.old)} times"
        path.write_text(before.replace(bug.old, bug.new))
        told = folder / "told"
        told.mkdir()
        command = [sys.executable, str(folder / "fuzz" / "run.py"), "--child", str(told), "--engine", "atheris"]
        command += ["--runs", str(bug.runs), "--seed", "1", bug.target]
        places = {"PYTHONPATH": os.pathsep.join(str(folder / part) for part in PARTS), "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | places)
        counted = told / "told.json"
        if done.returncode == 0 or not counted.exists():
            return "not found" if done.returncode == 0 else "found before the first execution"
        return f"{json.loads(counted.read_text())['executions']:,}"


def main(names: list[str]) -> int:
    """Plant every bug, or those of some targets, or some bugs by what they are; return 1 if any is not found."""
    bugs = [bug for bug in BUGS if not names or bug.target in names or bug.what in names]
    missed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for bug, found in zip(bugs, pool.map(plant, bugs), strict=True):
            missed += not found[0].isdigit()
            print(f"| `{bug.target}` | {bug.what} | {found} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
