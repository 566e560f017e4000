"""Load on a gateway: calls sent at a rate or by so many callers, and what they saw.

The generator is one process and one event loop. It writes down when each call was meant to be sent, so that
time spent waiting inside this program counts as latency, and it says so when it was the limit itself.
"""
