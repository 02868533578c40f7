"""Machines that boot: what runs on the servers and load balancers of the emulated clouds."""
