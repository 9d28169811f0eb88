"""The library's logger, `durable`, configured by whoever runs the process."""

from __future__ import annotations

import logging

logger = logging.getLogger("durable")
