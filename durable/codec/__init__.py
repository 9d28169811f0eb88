"""Values to JSON text and back, by the type hints; exceptions to `Failure` and back.

The promise: a value comes back as it went in, or `PayloadError` says which part would not.

    adapters         `Adapter(T)`: one type; results and signals
    signature        `Signature(fn)`: a function's arguments, by name, and its result
    guards           says at a glance that a value is sure to survive: the fast path
    differences      compares what came back with what went in: the sure path
    fields_set       which fields of pydantic models were given
    dataclass_fields dataclass fields that are not given: the class sets them
    unreadable_types types of which no value could come back, such as code
    scalars          numbers, texts and times of numpy and pandas
    failures         `failure_of(exception)`, whatever its class does
    exceptions       `exception_of(failure)`: whole, or as an `ApplicationError`
    tagged_values    values of exceptions, by their exact types
    inspection       looks at exceptions without running their code
    tracebacks       as text, of a size that is bounded
    payloads         `PayloadCodec`: encryption or compression around the text

Most values never leave the fast path: the guard looks at exact types, then one pass writes the
text. Whatever a guard is not sure of is written, read back and compared before it is let go.
"""
