"""Administrative calls about the scheme: who signs in it, what it decides, who owes whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from dualtap import codec, limits
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check, plain, signed
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Tier
from dualtap.logcodec import BYTES, ITEMS
from dualtap.statements import PresentBody
from dualtap_issuer import makers
from dualtap_issuer.authority import Bank, check_possession
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.insured import set_caps
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.listing import BANK, INSTITUTION, listed, net_fields
from dualtap_issuer.service.calls import COUNT, DIGEST, EPOCH, KEY, TEXT, Fields, Work, bytes_of, call, int_of
from dualtap_issuer.service.openapi import Operation
from dualtap_issuer.service.shapes import Shape, array, hexes, integer, one_of, record
from dualtap_issuer.shadow import shadow

NAME: Shape = {"type": "string", "pattern": "^([a-z0-9][a-z0-9_-]{0,31})$"}
HEX: Shape = {"type": "string", "pattern": "^(([0-9a-f]{2}){1,512})$"}
AMOUNT: Shape = {"type": "integer"}
CHIPS = one_of(*(carrier.name.lower() for carrier in sorted(makers.SECURE)))
TIER = record(dict.fromkeys(Tier._fields, integer(0, limits.AMOUNT)))
GUARANTEE = record({"payee": integer(0, limits.AMOUNT), "token": integer(0, limits.AMOUNT)})
_PARTY = {"name": TEXT, "number": COUNT, "key": KEY, "id": TEXT, "expires": COUNT}
_CLAIM = record({"currency": TEXT, "creditor": TEXT, "debtor": TEXT, "at_risk": AMOUNT, "final": AMOUNT})
_POSITION = record({"currency": TEXT, "institution": TEXT, "at_risk": AMOUNT, "final": AMOUNT})
_SCHEME = record(
    {
        "institutions": array(record(_PARTY), 64),
        "banks": array(record({**_PARTY, "institution": TEXT, "quota": COUNT, "used": COUNT}), 64),
        "makers": array(record({"name": TEXT, "key": KEY, "id": TEXT}), 2**31),
        "attested": array(CHIPS, len(Carrier)),
        "epoch": EPOCH,
        "dated": {"type": ["integer", "null"]},
        "closed": EPOCH,
    }
)
_BANK = record({"challenge": DIGEST, "key": KEY, "epoch": EPOCH, "signature": hexes(64), "name": NAME,
                "quota": integer(1, 2**32 - 1), "days": integer(1, 36_500)})  # fmt: skip

CALLS: tuple[Operation, ...] = (
    call("/admin/scheme", "GET", "Who signs in this scheme, and what was dated and settled last", _SCHEME),
    call(
        "/admin/authorities", "POST", "Take in certificates of institutions and banks, issuers first, that the root or"
        " an institution signed elsewhere", record({"admitted": COUNT}),
        record({"certificates": array(HEX, 64)}), (403,),
    ),
    call(
        "/admin/banks", "POST", "Certify a bank of this institution whose key answered a challenge: signature over a"
        " Present whose session is the challenge, as initiator. A bank that is certified again needs a later end",
        record({"certificate": TEXT, "number": COUNT}), _BANK, (403, 409),
    ),
    call("/admin/makers", "POST", "Register a device maker's key", record({"id": TEXT}),
         record({"name": NAME, "key": KEY})),
    call(
        "/admin/tiers", "POST", "Put a policy with these tiers in force, in the order of their numbers; the hotlist is"
        " kept", record({"version": COUNT}), record({"tiers": array(TIER, 64)}),
    ),
    call("/admin/attested", "POST", "Say whose chips makers must attest from now on", record({"attested": array(CHIPS,
         len(Carrier))}), record({"attested": array(CHIPS, len(Carrier))})),
    call("/admin/guarantee", "POST", "Set the most that the guarantee pays of an overspent token, to one payee and to"
         " all together, in settlements from now on", GUARANTEE, GUARANTEE),
    call("/admin/date", "POST", "Sign today's date, for institutions without the policy key; the policy is brought up"
         " to date", record({"epoch": EPOCH, "policy": COUNT, "header": TEXT}), None, (422,)),
    call("/admin/net", "GET", "Audit, then tell what the institutions hold of one another's value: the claims, each"
         " pair's balance, each one's position", record({"claims": array(_CLAIM, 2**31), "pairs": array(_CLAIM, 2**31),
         "positions": array(_POSITION, 2**31)})),
    call("/admin/account", "POST", "What the ledger alone says that a wallet holds: a card's shadow account",
         record({"currency": TEXT, "held": COUNT, "in_doubt": COUNT}), record({"key": KEY})),
)  # fmt: skip


def works(epoch: Callable[[], int]) -> tuple[Work, ...]:
    """Return what the calls do, in their order."""
    return (
        _scheme(epoch), _authorities(epoch), _banks(epoch), _maker, _tiers(epoch), _attested, _guarantee,
        _date(epoch), _net,
        _account,
    )  # fmt: skip


def bank_named(ledger: Ledger, name: str) -> Bank:
    """Return the bank of this name whose key this service holds; raise ``BAD_INPUT``."""
    key = ledger.store.parties(BANK).get(name)
    for bank in ledger.authority.banks:
        if bank.certificate.key == key:
            return bank
    raise TapError(Code.BAD_INPUT, f"this service holds no key of a bank {name!r}; /admin/scheme lists the banks")


def _scheme(epoch: Callable[[], int]) -> Work:
    def scheme(ledger: Ledger, _: Fields) -> Fields:
        ledger.trust.refresh(ledger.store)
        header = ledger.policies.kept(2**24)
        return {
            **listed(ledger),
            "attested": sorted(carrier.name.lower() for carrier in makers.demanded(ledger.store)),
            "epoch": epoch(), "dated": header.epoch if header else None, "closed": ledger.store.closed_epoch(),
        }  # fmt: skip

    return scheme


def _authorities(epoch: Callable[[], int]) -> Work:
    def admit(ledger: Ledger, given: Fields) -> Fields:
        check = issued_check(AuthorityCertificate)
        texts = cast("list[str]", given["certificates"])
        certificates = [check(codec.unpack(bytes.fromhex(text), BYTES, ITEMS)) for text in texts]
        return {"admitted": ledger.admit(certificates, epoch())}

    return admit


def _banks(epoch: Callable[[], int]) -> Work:
    def certify(ledger: Ledger, given: Fields) -> Fields:
        key, challenge, name = bytes_of(given, "key"), bytes_of(given, "challenge"), cast("str", given["name"])
        ledger.scheme.suite.verifier(key)
        body = PresentBody(challenge, True, int_of(given, "epoch"))
        proof = signed(ledger.scheme.id, key, body).sealed(bytes_of(given, "signature"))
        check_possession(ledger.scheme, proof, challenge)
        if ledger.store.parties(BANK).get(name, key) != key:
            raise TapError(Code.BAD_INPUT, f"{name!r} is another bank's name")
        known = [one for one in ledger.trust.authorities if one.authority is Authority.BANK]
        numbers = [one.number for one in known if one.key == key] or [1 + max((one.number for one in known), default=0)]
        certificate = ledger.authority.office.certify_bank(
            key, numbers[0], int_of(given, "quota"), epoch() + int_of(given, "days")
        )
        with ledger.store.transaction():
            if not ledger.store.take_challenge(challenge):
                raise TapError(Code.REPLAYED_REQUEST, "this challenge was not given, or was answered before")
        ledger.admit((certificate,), epoch())
        with ledger.store.transaction():
            ledger.store.put_party(name, BANK, key)
        return {"certificate": codec.pack(plain(certificate)).hex(), "number": certificate.number}

    return certify


def _maker(ledger: Ledger, given: Fields) -> Fields:
    key = bytes_of(given, "key")
    makers.register(ledger.scheme, ledger.store, cast("str", given["name"]), key)
    (found,) = [row["id"] for row in listed(ledger)["makers"] if row["key"] == key.hex()]
    return {"id": found}


def _tiers(epoch: Callable[[], int]) -> Work:
    def decide(ledger: Ledger, given: Fields) -> Fields:
        tiers = tuple(
            Tier(**{name: int(number) for name, number in row.items()})
            for row in cast("list[dict[str, float]]", given["tiers"])
        )
        return {"version": ledger.set_tiers(tiers, epoch()).version}

    return decide


def _attested(ledger: Ledger, given: Fields) -> Fields:
    makers.demand(ledger.store, [Carrier[name.upper()] for name in cast("list[str]", given["attested"])])
    return {"attested": sorted(carrier.name.lower() for carrier in makers.demanded(ledger.store))}


def _guarantee(ledger: Ledger, given: Fields) -> Fields:
    set_caps(ledger.store, Caps(int_of(given, "payee"), int_of(given, "token")))
    return {**ledger.guarantee._asdict()}


def _date(epoch: Callable[[], int]) -> Work:
    def date(ledger: Ledger, _: Fields) -> Fields:
        header = ledger.date(epoch())
        return {"epoch": header.epoch, "policy": header.policy, "header": codec.pack(plain(header)).hex()}

    return date


def _net(ledger: Ledger, _: Fields) -> Fields:
    return net_fields(ledger.net(), {key: name for name, key in ledger.store.parties(INSTITUTION).items()})


def _account(ledger: Ledger, given: Fields) -> Fields:
    found = shadow(ledger.world(), bytes_of(given, "key"), ledger.terms.currency, ledger.store.settled())
    return {"currency": ledger.terms.currency, **found._asdict()}
