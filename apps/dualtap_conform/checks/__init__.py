"""What is checked, in the order in which it is: later checks may use up what earlier ones need."""

from __future__ import annotations

from dualtap_conform.check import Check
from dualtap_conform.checks.collecting import CHECKS as COLLECTING
from dualtap_conform.checks.dating import CHECKS as DATING
from dualtap_conform.checks.greeting import CHECKS as GREETING
from dualtap_conform.checks.healing import CHECKS as HEALING
from dualtap_conform.checks.measuring import CHECKS as MEASURING
from dualtap_conform.checks.paying import CHECKS as PAYING
from dualtap_conform.checks.plain import CHECKS as PLAIN
from dualtap_conform.checks.remembering import CHECKS as REMEMBERING
from dualtap_conform.checks.requests import CHECKS as REQUESTS
from dualtap_conform.checks.running import CHECKS as RUNNING
from dualtap_conform.checks.verifying import CHECKS as VERIFYING

CHECKS: tuple[Check, ...] = (
    *GREETING, *PLAIN, *REQUESTS, *PAYING, *MEASURING, *HEALING, *COLLECTING, *VERIFYING, *REMEMBERING, *DATING,
    *RUNNING,
)  # fmt: skip
