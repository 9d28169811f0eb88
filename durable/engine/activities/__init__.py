"""The kinds of activities: the effects of entering one, and of a reply that arrives for it.

Every kind is a module of two pure functions, and imports none of the others:

    leg1(context) -> LegResult          the job enters this activity
    leg2(context, reply) -> LegResult   a reply arrived for it

- `trigger`, `worker`, `await_`, `hook`, `signal`, `cycle`, `interrupt`
- `handlers`: the table by kind.
- `escalation`: the columns of a hook's escalation, evaluated and checked.
- `measurements`: what a trigger's `stats` record of a job.
"""
