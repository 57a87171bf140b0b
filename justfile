# Each recipe is one command, which can be run without `just`.

# Format, lints of the two crates, unit tests of the macros.
check:
    .ci/check

# The README's command: unit tests, tests/spec, documentation tests, the examples compiled.
test:
    cargo test --locked

# The gate of every change.
gate *STEPS:
    .ci/run {{STEPS}}
