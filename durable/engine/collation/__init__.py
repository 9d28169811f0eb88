"""Where in a job something happens, and when it is over; pure arithmetic.

A message is consumed and all that it causes is written in one transaction, so no ledger has to say
how far a step came. What remains of the ancestor's collation are two numbers and an address:

- `addresses`: dimensional addresses such as `,0,0,1`, one number per level of the graph. The first
  leg of an activity ends in 0; its answer number k (counted from 0) has the same address ending in
  k, and what follows from that answer lies below it.
- `passes`: what a cycle that goes round for ever can forget.
- `semaphore`: how many branches are open: 0 means done.
"""
