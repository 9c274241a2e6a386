"""Carry frames between two devices: links, the schemes that open them, chunking and fault models.

Imports nothing of ours but ``dualtap``. Start at :mod:`.link`; :mod:`.aio` alone needs asyncio.
"""
