# Every routine of Footbridge. `just` comes with `pip install rust-just`; each line also works by hand.

set positional-arguments

# what there is
default:
    @just --list

# the release build
build:
    cargo build --release --workspace

# what a newcomer runs: needs Rust and build-essential only
test *ARGS:
    cargo test --workspace "$@"

# the tests on the shared data too (../shared, or FOOTBRIDGE_SHARED)
corpus *ARGS:
    cargo test --workspace --features corpus "$@"

# the log and kill -9 on a real Kafka broker (Java 17 and Maven; FOOTBRIDGE_KAFKA_KILLS=n for more)
kafka *ARGS:
    cargo test --features servers --lib --test crash -- kafka "$@"

# the property tests on other cases than CI draws
properties SEED CASES:
    PROPTEST_RNG_SEED="$1" PROPTEST_CASES="$2" FOOTBRIDGE_SEEDS="$2" cargo test --release -p footbridge-core --lib

# all problems of the mappings at once
check:
    cargo run --release -- check --mappings mappings

# two years of an invented population, told as a story
demo:
    cargo run --release -- demo

# format and lints, as CI asks for them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# licences, bans, sources (`cargo install --locked cargo-deny`; `.ci/run` knows the version)
deny:
    cargo deny --all-features check licenses bans sources

# all that must hold before a change lands
ci:
    bash .ci/run

# kill -9 the real program so many times, at moments that the seed decides
torture KILLS SEED='1':
    FOOTBRIDGE_KILLS="$1" FOOTBRIDGE_SEED="$2" cargo test --test crash -- --nocapture

# three instances on a real broker, with so many misfortunes
torture-kafka ROUNDS SEED='1':
    FOOTBRIDGE_ROUNDS="$1" FOOTBRIDGE_SEED="$2" cargo test --features servers --test crash three_on -- --ignored --nocapture

# the running bridge's figures, each beside its limit or a peer: events, push, revoke, midnight, members (all of them), million
bench-run *NAMES:
    cargo bench --bench run -- "$@"

# the figures on a real Kafka broker, beside their limit (Java 17 and Maven): throughput, exits, kills (all of them)
bench-kafka *NAMES:
    cargo bench --features servers --bench kafka -- "$@"

# the figures, each beside its limit (COPIES=n: another size)
bench *ARGS:
    cargo bench --bench engine "$@"

# fuzz TARGET for SECONDS (`cargo install cargo-fuzz`, a nightly toolchain): fhirpath_text, resource, consent, audience_yaml
fuzz TARGET SECONDS:
    cargo +nightly fuzz run "$1" -- -max_total_time="$2"

# the oracle on another invented overlay of the shared patients
oracle SEED:
    FOOTBRIDGE_SEED="$1" cargo test --features corpus --test oracle

# one seed of the simulation, told act by act
sim SEED:
    FOOTBRIDGE_SIM_SEED="$1" cargo test --release --test bridge -- --nocapture sim wide

# so many seeds of the simulation
sim-many N:
    FOOTBRIDGE_SIM_SEEDS="$1" cargo test --release --test bridge -- --nocapture sim wide
