"""The issuer's service: syncs over HTTP, and apart from them what its people do. Needs ``dualtap[issuer]``.

:mod:`~dualtap_issuer.service.desk` holds the sessions of syncs, :mod:`~dualtap_issuer.service.clerk` the one thread in
which the ledger works, :mod:`~dualtap_issuer.service.devices` and :mod:`~dualtap_issuer.service.admin` the two
applications, and :mod:`~dualtap_issuer.service.run` starts and stops it all.
"""
