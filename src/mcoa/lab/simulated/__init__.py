"""The laboratory in memory and in virtual time, for machines that allow no namespaces.

Real are the engines, the forwarders, and every octet that they exchange. Simulated are time,
the links (rate, delay, queue, loss), the kernels' routing and their network stacks. Transfers
run by a small model of TCP, which is not TCP.
"""
