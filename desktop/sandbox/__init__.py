"""Runs scripts nobody has to trust: a policy that refuses early, an isolation that holds, a collector that doubts."""
