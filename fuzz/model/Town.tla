------------------------------- MODULE Town -------------------------------
EXTENDS Tap
Owners == [t \in {"a", "d"} |-> IF t = "a" THEN "anna" ELSE "dora"]
Rich == [t \in {"a", "b", "c"} |-> IF t = "b" THEN "ben" ELSE "anna"]
AllRules == {"OWNER", "WARRANT", "FORK", "DEAD_SPENT", "RECEIPT_KILLS", "ONE_REQUEST", "QUARANTINE",
             "NO_TIMEOUT", "KEEP_OUTCOME", "REFUSE_CLOSES"}
=============================================================================
