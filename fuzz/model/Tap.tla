-------------------------------- MODULE Tap --------------------------------
(***************************************************************************)
(* The tap and the ledger's rules (SPEC §4, §5.3, §8, §11, §16), small      *)
(* enough for TLC to visit every state.                                     *)
(*                                                                          *)
(* A token is one unit here: spans, amounts, dates, certificates and bytes  *)
(* are left to the code's own tests. The network keeps every statement and  *)
(* replays any outcome at any moment; taps are torn by steps not taken.     *)
(* Liars know all that was said, sign whatever they like with their own     *)
(* keys, and choose what they show.                                         *)
(*                                                                          *)
(* Rules is the set of rules in force. Each rule taken away is a mutant     *)
(* that an invariant must refute (see run.py).                        *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Honest, Liars,  \* wallets
  Owner,          \* token -> the wallet that it was issued to
  MaxRequests,    \* by one wallet
  MaxHonest,      \* transfers of honest wallets together
  MaxLiars,       \* transfers of each liar
  Baskets,        \* what an honest payee sells
  Rules

VARIABLES
  requests,  \* [by, n, with, basket]: asked in a session with that peer
  transfers, \* [by, to, request, parent]
  outcomes,  \* [by, request, accepts]: accepts is {transfer}, or {} for a Close
  shown,     \* honest wallet -> transfers that it has seen
  heard,     \* honest wallet -> outcomes that it has seen
  held,      \* honest wallet -> parents that it holds
  doubt,     \* honest wallet -> its transfers without an outcome
  open,      \* honest wallets' requests without an outcome
  last       \* what happened last, for whoever replays a trace; no part of the state

vars == <<requests, transfers, outcomes, shown, heard, held, doubt, open, last>>
state == <<requests, transfers, outcomes, shown, heard, held, doubt, open>>

Wallets == Honest \cup Liars
Tokens == DOMAIN Owner
Root(t) == [side |-> "token", token |-> t, of |-> {}]
Side(s, x) == [side |-> s, token |-> x.parent.token, of |-> {x}]

(***************************************************************************)
(* What makes a statement (§5.3), a warrant (§8.2) and a name (§15).        *)
(***************************************************************************)
Dead(x, os) == \E o \in os : o.by = x.to /\ o.request = x.request /\ o.accepts # {x}
                             /\ ("RECEIPT_KILLS" \in Rules \/ o.accepts = {})

RECURSIVE Statement(_, _, _)
Statement(x, xs, os) ==
  LET p == x.parent IN
  \/ "OWNER" \notin Rules
  \/ p.side = "token" /\ Owner[p.token] = x.by
  \/ p.side = "payee" /\ \A y \in p.of : y \in xs /\ y.to = x.by /\ Statement(y, xs, os)
  \/ p.side = "payer" /\ \A y \in p.of : /\ y \in xs /\ y.by = x.by /\ Statement(y, xs, os)
                                         /\ ("WARRANT" \in Rules => Dead(y, os))

Conflict(x, y) == x # y /\ x.parent = y.parent /\ x.by = y.by

Forks(xs, os) ==
  IF "FORK" \notin Rules THEN {} ELSE
  {x.by : x \in {x \in xs : Statement(x, xs, os) /\ \E y \in xs : Conflict(x, y) /\ Statement(y, xs, os)}}
TwoOutcomes(os) ==
  {o.by : o \in {o \in os : \E p \in os : p.by = o.by /\ p.request = o.request /\ p.accepts # o.accepts}}
DeadSpent(xs, os) ==
  IF "DEAD_SPENT" \notin Rules THEN {} ELSE
  {x.by : x \in {x \in xs : x.parent.side = "payee" /\ Statement(x, xs, os) /\ \E y \in x.parent.of : Dead(y, os)}}
Names(xs, os) == Forks(xs, os) \cup TwoOutcomes(os) \cup DeadSpent(xs, os)

(***************************************************************************)
(* What is behind a transfer, and the warrants that its shower may choose.  *)
(***************************************************************************)
RECURSIVE Behind(_)
Behind(x) == {x} \cup UNION {Behind(y) : y \in x.parent.of}
Restored(x) == UNION {y.parent.of : y \in {z \in Behind(x) : z.parent.side = "payer"}}
Warrants(x, os) == {o \in os : \E y \in Restored(x) : o.by = y.to /\ o.request = y.request /\ o.accepts # {y}}

(***************************************************************************)
(* Honest wallets                                                           *)
(***************************************************************************)
Paid(q, b) == \E o \in outcomes : o.by = q /\ o.accepts # {} /\ o.request.basket = b

Ask(q, p, b) ==
  LET mine == {r \in requests : r.by = q}
      r == [by |-> q, n |-> Cardinality(mine) + 1, with |-> p, basket |-> b] IN
  /\ q # p /\ Cardinality(mine) < MaxRequests /\ ~Paid(q, b)
  /\ "ONE_REQUEST" \in Rules => ~\E s \in open : s.by = q /\ s.basket = b
  /\ requests' = requests \cup {r} /\ open' = open \cup {r}
  /\ last' = <<"ask", q, p, b>>
  /\ UNCHANGED <<transfers, outcomes, shown, heard, held, doubt>>

HonestlySigned == {x \in transfers : x.by \in Honest}

Pay(p, r, h) ==
  LET x == [by |-> p, to |-> r.by, request |-> r, parent |-> h] IN
  /\ r.with = p /\ h \in held[p] /\ Cardinality(HonestlySigned) < MaxHonest
  /\ ~\E y \in transfers : y.by = p /\ y.request = r
  /\ \A y \in doubt[p] : y.to # r.by \* heal before paying
  /\ transfers' = transfers \cup {x}
  /\ held' = [held EXCEPT ![p] = @ \ {h}]
  /\ doubt' = [doubt EXCEPT ![p] = @ \cup {x}]
  /\ shown' = [shown EXCEPT ![p] = @ \cup {x}]
  /\ last' = <<"pay", p, x>>
  /\ UNCHANGED <<requests, outcomes, heard, open>>

\* A payee is shown a transfer with what is behind it. An open request is answered: once, and for good.
Answer(q, x, ws, accept) ==
  LET xs == shown[q] \cup Behind(x)
      os == heard[q] \cup ws
      good == /\ Statement(x, xs, os)
              /\ \A y \in Behind(x) : \A z \in xs : ~(Conflict(y, z) /\ Statement(z, xs, os))
              /\ \A y \in Behind(x) : y.parent.side = "payee" => ~\E z \in y.parent.of : Dead(z, os)
              /\ \A y \in Restored(x) : ~\E z \in xs : z.parent.side = "payee" /\ y \in z.parent.of
      o == [by |-> q, request |-> x.request, accepts |-> IF accept THEN {x} ELSE {}] IN
  /\ x.to = q /\ x.request.by = q /\ x.request \in open
  /\ accept => good
  /\ outcomes' = outcomes \cup {o}
  /\ open' = open \ {x.request}
  /\ shown' = [shown EXCEPT ![q] = xs]
  /\ heard' = [heard EXCEPT ![q] = os \cup {o}]
  /\ held' = IF accept THEN [held EXCEPT ![q] = @ \cup {Side("payee", x)}] ELSE held
  /\ last' = <<"answer", q, x, ws, accept>>
  /\ UNCHANGED <<requests, transfers, doubt>>

\* An honest payer shows while it is in doubt, and all warrants that it needs.
Show(x, accept) ==
  /\ x.by \in Honest => x \in doubt[x.by]
  /\ IF x.by \in Honest
     THEN Answer(x.to, x, Warrants(x, heard[x.by]), accept)
     ELSE \E ws \in SUBSET Warrants(x, outcomes) : Answer(x.to, x, ws, accept)

CloseOpen(r) ==
  LET o == [by |-> r.by, request |-> r, accepts |-> {}] IN
  /\ r \in open
  /\ outcomes' = outcomes \cup {o} /\ open' = open \ {r}
  /\ heard' = [heard EXCEPT ![r.by] = @ \cup {o}]
  /\ last' = <<"close", r>>
  /\ UNCHANGED <<requests, transfers, shown, held, doubt>>

Take(p, x, o) ==
  /\ x \in doubt[p] /\ o.by = x.to /\ o.request = x.request
  /\ o.accepts = {x} \/ Dead(x, {o})
  /\ doubt' = [doubt EXCEPT ![p] = @ \ {x}]
  /\ heard' = [heard EXCEPT ![p] = @ \cup {o}]
  /\ held' = IF o.accepts = {x} THEN held ELSE [held EXCEPT ![p] = @ \cup {Side("payer", x)}]
  /\ last' = <<"take", p, x, o>>
  /\ UNCHANGED <<requests, transfers, outcomes, shown, open>>

(***************************************************************************)
(* Liars                                                                    *)
(***************************************************************************)
LiarAsks(d, p) ==
  LET mine == {r \in requests : r.by = d}
      r == [by |-> d, n |-> Cardinality(mine) + 1, with |-> p, basket |-> 0] IN
  /\ Cardinality(mine) < MaxRequests
  /\ requests' = requests \cup {r}
  /\ last' = <<"liar asks", d, p>>
  /\ UNCHANGED <<transfers, outcomes, shown, heard, held, doubt, open>>

Parents == {Root(t) : t \in Tokens} \cup {Side(s, x) : s \in {"payee", "payer"}, x \in transfers}

\* Whatever a liar signs that is no statement convinces nobody: shown once, as another's parent, it is enough.
LiarPays(d, r, h) ==
  LET x == [by |-> d, to |-> r.by, request |-> r, parent |-> h] IN
  /\ r.by # d /\ x \notin transfers
  /\ Cardinality({y \in transfers : y.by = d}) < MaxLiars
  /\ transfers' = transfers \cup {x}
  /\ last' = <<"liar pays", d, x>>
  /\ UNCHANGED <<requests, outcomes, shown, heard, held, doubt, open>>

LiarAnswers(d, r, accepts) ==
  LET o == [by |-> d, request |-> r, accepts |-> accepts] IN
  /\ r.by = d /\ o \notin outcomes
  /\ outcomes' = outcomes \cup {o}
  /\ last' = <<"liar answers", d, o>>
  /\ UNCHANGED <<requests, transfers, shown, heard, held, doubt, open>>

(***************************************************************************)
(* What the rules of §11, §12 and §16 forbid: steps of mutants alone.       *)
(***************************************************************************)
\* Without §12-6: a store is rolled back, and its wallet goes on.
RollBack(p, x) ==
  /\ "QUARANTINE" \notin Rules /\ x \in doubt[p]
  /\ doubt' = [doubt EXCEPT ![p] = @ \ {x}] /\ held' = [held EXCEPT ![p] = @ \cup {x.parent}]
  /\ last' = <<"roll back", p, x>>
  /\ UNCHANGED <<requests, transfers, outcomes, shown, heard, open>>

\* Without §11.3-11: a payer that waited long enough takes its money back.
TimeOut(p, x) ==
  /\ "NO_TIMEOUT" \notin Rules /\ x \in doubt[p]
  /\ doubt' = [doubt EXCEPT ![p] = @ \ {x}] /\ held' = [held EXCEPT ![p] = @ \cup {Side("payer", x)}]
  /\ last' = <<"time out", p, x>>
  /\ UNCHANGED <<requests, transfers, outcomes, shown, heard, open>>

\* Without §4.1-9 and §4.1-11: a payee forgets an outcome, and closes from ignorance.
Forget(q, o) ==
  LET c == [by |-> q, request |-> o.request, accepts |-> {}] IN
  /\ "KEEP_OUTCOME" \notin Rules /\ o \in outcomes /\ o.by = q
  /\ outcomes' = outcomes \cup {c}
  /\ last' = <<"forget", q, o>>
  /\ UNCHANGED <<requests, transfers, shown, heard, held, doubt, open>>

\* Without §8.1-3: a payee refuses by a Refuse alone and forgets the request.
Drop(r) ==
  /\ "REFUSE_CLOSES" \notin Rules /\ r \in open
  /\ open' = open \ {r}
  /\ last' = <<"drop", r>>
  /\ UNCHANGED <<requests, transfers, outcomes, shown, heard, held, doubt>>

Init ==
  /\ requests = {} /\ transfers = {} /\ outcomes = {} /\ open = {}
  /\ shown = [w \in Honest |-> {}] /\ heard = [w \in Honest |-> {}] /\ doubt = [w \in Honest |-> {}]
  /\ held = [w \in Honest |-> {Root(t) : t \in {t \in Tokens : Owner[t] = w}}]
  /\ last = <<"begin">>

Next ==
  \/ \E q \in Honest, p \in Wallets, b \in Baskets : Ask(q, p, b)
  \/ \E p \in Honest, r \in requests : \E h \in held[p] : Pay(p, r, h)
  \/ \E x \in transfers, accept \in BOOLEAN : x.to \in Honest /\ Show(x, accept)
  \/ \E r \in open : CloseOpen(r)
  \/ \E p \in Honest : \E x \in doubt[p], o \in outcomes : Take(p, x, o)
  \/ \E d \in Liars, p \in Honest : LiarAsks(d, p)
  \/ \E d \in Liars, r \in requests, h \in Parents : LiarPays(d, r, h)
  \/ \E d \in Liars, r \in requests : LiarAnswers(d, r, {})
  \/ \E d \in Liars, r \in requests : \E x \in {x \in transfers : x.request = r} : LiarAnswers(d, r, {x})
  \/ \E p \in Honest : \E x \in doubt[p] : RollBack(p, x) \/ TimeOut(p, x)
  \/ \E o \in outcomes : o.by \in Honest /\ Forget(o.by, o)
  \/ \E r \in open : Drop(r)

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* The promises (§1)                                                        *)
(***************************************************************************)
Synced == <<UNION {shown[w] : w \in Honest}, UNION {heard[w] : w \in Honest}>>
Claims(t) == {<<w, h>> \in UNION {{w} \X held[w] : w \in Honest} : h.token = t}

\* §1-3, over everything that was ever signed.
NobodyFramed == Names(transfers, outcomes) \cap Honest = {}

\* §1-1: a unit is with two honest wallets only if what they have seen names somebody.
NoValueFromNothing == \A t \in Tokens : Cardinality(Claims(t)) > 1 => Names(Synced[1], Synced[2]) # {}

\* §1-1 again: whatever an honest wallet holds goes back to its token by statements that it has seen.
Genuine ==
  \A w \in Honest : \A h \in held[w] :
    /\ h.side = "token" => Owner[h.token] = w
    /\ \A x \in h.of : /\ Statement(x, shown[w], heard[w])
                       /\ x.by # w => x.to = w
                       /\ h.side = "payer" => Dead(x, heard[w])

\* §1-2: what an honest wallet was issued is held, in doubt, with whom it was given to, or that one's doing.
Followed(t, xs, os) ==
  LET RECURSIVE Leaves(_, _)
      Leaves(h, owner) ==
        LET kids == {x \in xs : x.parent = h /\ x.by = owner /\ Statement(x, xs, os)} IN
        IF kids = {} THEN {<<owner, h>>} ELSE
        UNION {IF Dead(x, os) THEN Leaves(Side("payer", x), x.by)
               ELSE IF (\E o \in os : o.by = x.to /\ o.accepts = {x}) \/ (\E y \in xs : y.parent = Side("payee", x))
                    THEN Leaves(Side("payee", x), x.to)
                    ELSE {<<x.by, Side("payer", x)>>} : x \in kids}
  IN Leaves(Root(t), Owner[t])
NothingLost ==
  Names(Synced[1], Synced[2]) = {} =>
    \A w \in Honest : \A h \in held[w] : <<w, h>> \in Followed(h.token, Synced[1], Synced[2])

\* §1-4: whoever is in doubt about an honest payee can be answered by it, now.
Heals ==
  \A p \in Honest : \A x \in doubt[p] : x.to \in Honest =>
    \/ x.request \in open
    \/ \E o \in outcomes : o.by = x.to /\ o.request = x.request /\ (o.accepts = {x} \/ Dead(x, {o}))

\* §1-7
OneBasket ==
  \A q \in Honest, b \in Baskets :
    Cardinality({o \in outcomes : o.by = q /\ o.accepts # {} /\ o.request.basket = b}) <= 1
=============================================================================
