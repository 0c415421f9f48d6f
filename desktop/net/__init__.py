"""The only way out of this machine: HTTP with consent, cache and manners, and the keychain. No studio's knowledge."""
