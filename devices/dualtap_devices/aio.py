"""Runs a tap over an asynchronous link: :func:`dualtap_devices.driver.run`, awaited.

Only the link is awaited. What the driver does to the store and the keystore blocks, for as long as their syncs take.
"""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.events import Report
from dualtap_devices.driver import Driver
from dualtap_transports.link import AsyncLink


async def run(driver: Driver, link: AsyncLink, timeout: float | None = 30.0) -> Report:
    """Run a tap over a link and close it; return how it ended. ``timeout`` is in seconds, for each frame."""
    try:
        await _send(driver, link, driver.begin())
        while not driver.ended:
            try:
                frame = await link.receive(driver.patience(timeout))
            except TapError as error:
                driver.stop(error.code if isinstance(error.code, Code) else Code.LINK_LOST)
                break
            await _send(driver, link, driver.receive(frame))
    finally:
        await link.close()
    return driver.result


async def _send(driver: Driver, link: AsyncLink, frames: list[bytes]) -> None:
    for frame in frames:
        try:
            await link.send(frame)
        except TapError:
            driver.stop(Code.LINK_LOST)
            return
