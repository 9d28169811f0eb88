"""The kinds of activities: what each wants written when entered, and when something arrives.

Every kind is a module of two pure functions, and knows none of the others:

    leg1(scene) -> Effects          the job has come to this activity
    leg2(scene, reply) -> Effects   something arrived for it

- `trigger`, `worker`, `await_`, `hook`, `signal`, `cycle`, `interrupt`
- `handlers`: the table by kind.
- `escalated`: what is kept of a hook's wait for a person: its columns, evaluated and checked.
- `measuring`: what a trigger's `stats` say of a job: what it counts for, and with which values.
"""
