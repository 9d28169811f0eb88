"""From definitions to the app descriptor that HotMesh deploys."""
