"""All claims, in the paper's order."""

from __future__ import annotations

from spinneurons.paper import device_claims, loop_claims, magnet_claims, network_claims

CLAIMS = (*device_claims.CLAIMS, *network_claims.CLAIMS, *loop_claims.CLAIMS, *magnet_claims.CLAIMS)
