"""The library's logger: a child of nothing but `durable`, configured by whoever runs the process."""

from __future__ import annotations

import logging

logger = logging.getLogger("durable")
